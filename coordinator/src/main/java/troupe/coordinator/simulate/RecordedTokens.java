package troupe.coordinator.simulate;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import troupe.core.UserException;
import troupe.core.config.RunConfig;
import troupe.core.data.TokenCounts;
import troupe.router.gate.CounterDraws;
import troupe.router.trace.RouterTrace;
import troupe.router.trace.TraceFile;
import troupe.router.trace.TraceRecord;

/**
 * The router logits of a training run, with the draws of that run: under the gate and the capacity
 * of the run this is what happened, bit by bit.
 */
final class RecordedTokens implements Tokens {
  private static final int COUNTED_STEPS = 8;
  private static final String AGAIN = "train it with gate.trace=true";

  private final List<TraceFile> files;
  private final List<Integer> layers;
  private final List<Long> steps;
  private final long tokens;
  private final int leftOut;
  private final List<List<Group>> groups_S = new ArrayList<>();
  private final List<Map<Group, TraceFile>> file_S = new ArrayList<>();

  private RecordedTokens(List<TraceFile> files, int most) {
    this.files = files;
    this.layers = files.stream().map(TraceFile::layer).distinct().sorted().toList();
    SortedMap<Long, Long> tokensOfStep = new TreeMap<>();
    for (TraceFile file : files) {
      for (long step : file.steps()) {
        for (long first : file.firstTokens(step)) {
          tokensOfStep.merge(step, (long) file.tokens(step, first), Long::sum);
        }
      }
    }
    // A run that was interrupted leaves a step of which some ranks or layers are missing.
    long whole = tokensOfStep.values().stream().mapToLong(Long::longValue).max().orElse(0);
    List<Long> all =
        tokensOfStep.entrySet().stream()
            .filter(entry -> entry.getValue() == whole)
            .map(Map.Entry::getKey)
            .toList();
    this.leftOut = tokensOfStep.size() - all.size();
    this.steps = most == 0 ? all : all.subList(Math.max(0, all.size() - most), all.size());
    this.tokens = whole / layers.size();
    for (long step : steps) {
      index(step);
    }
  }

  private void index(long step) {
    List<Group> groups = new ArrayList<>();
    Map<Group, TraceFile> fileOf = new HashMap<>();
    for (TraceFile file : files) {
      for (long first : file.firstTokens(step)) {
        Group group = new Group(layers.indexOf(file.layer()), first, file.tokens(step, first));
        groups.add(group);
        fileOf.put(group, file);
      }
    }
    groups_S.add(groups);
    file_S.add(fileOf);
  }

  /**
   * The trace of a run.
   *
   * @throws UserException if there is none, it is damaged, or it is of another number of experts
   */
  static RecordedTokens open(RunConfig config) {
    Path run = Path.of(config.simulate().trace());
    Path folder = run.resolve(RouterTrace.FOLDER);
    List<TraceFile> files = new ArrayList<>();
    try {
      for (Path path : paths(run, folder)) {
        files.add(TraceFile.open(path));
        files.getLast().checkWhole();
        check(path, files.getLast(), config.experts().count());
      }
      RecordedTokens recorded = new RecordedTokens(files, config.simulate().steps());
      if (recorded.steps.isEmpty()) {
        throw new UserException(
            "simulate.trace: " + folder + " has no step (expected: a trace of a run)", AGAIN);
      }
      return recorded;
    } catch (RuntimeException e) {
      files.forEach(TraceFile::close);
      throw e;
    }
  }

  private static List<Path> paths(Path run, Path folder) {
    if (!Files.isDirectory(folder)) {
      throw new UserException(
          "simulate.trace: "
              + (Files.isDirectory(run) ? folder + " is missing" : run + " is missing")
              + " (expected: the folder of a run with a trace)",
          AGAIN + ", or leave simulate.trace empty to draw tokens");
    }
    try (Stream<Path> paths = Files.list(folder)) {
      return paths
          .filter(path -> path.getFileName().toString().endsWith(TraceFile.SUFFIX))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UserException(folder + " cannot be read: " + e, "make it readable", e);
    }
  }

  private static void check(Path path, TraceFile file, int experts) {
    if (file.experts() != experts) {
      throw new UserException(
          "experts.count: %d (expected: %d, as in %s)".formatted(experts, file.experts(), path),
          "experts.count=" + file.experts());
    }
  }

  /** Steps of which something is missing. */
  int leftOut() {
    return leftOut;
  }

  @Override
  public int experts() {
    return files.getFirst().experts();
  }

  @Override
  public int layers() {
    return layers.size();
  }

  @Override
  public int layersEach() {
    return 1;
  }

  @Override
  public long tokens() {
    return tokens;
  }

  @Override
  public List<Long> steps() {
    return steps;
  }

  @Override
  public List<Group> groups(int step) {
    return groups_S.get(step);
  }

  @Override
  public Seen see(int step, Group group, double[] buffer) {
    TraceFile file = file_S.get(step).get(group);
    TraceRecord record = file.read(steps.get(step), group.firstToken());
    return new Seen(
        record.logits_TE(),
        record.ids_T(),
        record.state(),
        new CounterDraws(file.seed(), record.step(), file.layer(), group.firstToken()));
  }

  /** Of the first steps: what a run knows before it begins is about as much. */
  @Override
  public TokenCounts counts() {
    return vocab -> {
      long[] count_V = new long[vocab];
      for (int step = 0; step < Math.min(COUNTED_STEPS, steps.size()); step++) {
        for (Group group : groups_S.get(step)) {
          if (group.layer() == 0) {
            for (int id : see(step, group, null).ids_T()) {
              count_V[id]++;
            }
          }
        }
      }
      return count_V;
    };
  }

  @Override
  public void close() {
    files.forEach(TraceFile::close);
  }
}
