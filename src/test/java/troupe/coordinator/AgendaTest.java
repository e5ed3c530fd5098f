package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.List;
import org.junit.jupiter.api.Test;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;

final class AgendaTest {
  private static final RunTask.Train TRAIN = new RunTask.Train(5);
  private static final RunTask.Evaluate AT_END = new RunTask.Evaluate(7);
  private static final RunTask.Evaluate DUE = new RunTask.Evaluate(3);

  private final RunConfig config =
      ConfigLoader.parse(
          "", List.of("train.steps=5", "evaluate.every=2", "evaluate.batches=" + DUE.batches()));
  private final Agenda agenda = new Agenda(config, List.of(TRAIN, AT_END));

  @Test
  void shouldValidateEverySoManyStepsAndAfterTheLast() {
    agenda.committed(1);
    assertEquals(TRAIN, agenda.next());
    agenda.committed(2);
    assertEquals(DUE, agenda.next());
    agenda.evaluated();
    assertEquals(TRAIN, agenda.next());
    agenda.committed(5);
    assertEquals(DUE, agenda.next());
  }

  @Test
  void shouldDoOneTaskAfterTheOther() {
    agenda.trained();
    assertEquals(AT_END, agenda.next());
    agenda.evaluated();
    assertNull(agenda.next());
  }

  @Test
  void shouldForgetAValidationOfAStepThatIsDoneAgain() {
    agenda.committed(4);
    agenda.rolledBack(3);
    assertEquals(TRAIN, agenda.next());
  }

  @Test
  void shouldTrainAgainWhatIsLost() {
    agenda.trained();
    agenda.rolledBack(5);
    assertEquals(AT_END, agenda.next());
    agenda.rolledBack(4);
    assertEquals(TRAIN, agenda.next());
    agenda.trained();
    assertEquals(AT_END, agenda.next());
  }
}
