package troupe.coordinator.cli;

import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** Answers a wrong command line in two lines instead of the whole usage. */
final class MistakeHandler implements IParameterExceptionHandler {
  @Override
  public int handleParseException(ParameterException mistake, String[] arguments) {
    CommandLine verb = mistake.getCommandLine();
    List<String> suggestions =
        mistake instanceof UnmatchedArgumentException unmatched
            ? unmatched.getSuggestions()
            : List.of();
    FailureHandler.print(
        verb.getErr(),
        mistake.getMessage(),
        suggestions.isEmpty()
            ? verb.getCommandSpec().qualifiedName() + " --help"
            : "did you mean " + suggestions.getFirst() + "?");
    return ExitCode.MISTAKE;
  }
}
