package troupe.coordinator.metrics;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;
import troupe.router.gate.Ledger;

class MetricsLogTest {
  private static final Path FULL_DEVICE = Path.of("/dev/full");

  @TempDir private Path folder;

  @Test
  void shouldReadBackWhatWasAppended() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    StepMetrics step = step(7, 1.25);
    try (MetricsLog log = MetricsLog.create(file)) {
      log.append(step);
      log.append(new ValidationMetrics(7, 2.5));
    }
    List<MetricsRecord> records = read(file, 0);
    assertEquals(2, records.size());
    StepMetrics read = assertInstanceOf(StepMetrics.class, records.get(0));
    assertArrayEquals(step.load_LE(), read.load_LE());
    assertEquals(MetricsJson.toLine(step), MetricsJson.toLine(read));
    assertEquals(new ValidationMetrics(7, 2.5), records.get(1));
  }

  @Test
  void shouldUseTheDocumentedKeys() throws IOException {
    JsonObject json = JsonParser.parseString(MetricsJson.toLine(step(7, 1.25))).getAsJsonObject();
    assertEquals(
        List.of(
            "step",
            "loss",
            "ce",
            "balance",
            "z",
            "penalty",
            "lr",
            "grad_norm",
            "tokens_per_s",
            "step_time_ms",
            "dropped",
            "alive",
            "imbalance",
            "ledger",
            "load"),
        List.copyOf(json.keySet()));
    assertEquals(30, json.getAsJsonArray("load").get(1).getAsJsonArray().get(0).getAsLong());
    assertEquals(
        "{\"step\":7,\"val_loss\":2.5}", MetricsJson.toLine(new ValidationMetrics(7, 2.5)));
  }

  @Test
  void shouldWriteValidJsonWhenNumbersAreNotFinite() throws IOException {
    for (double value : new double[] {Double.NaN, Double.POSITIVE_INFINITY}) {
      String line = MetricsJson.toLine(step(3, value));
      assertTrue(line.contains("\"loss\":null"), line);
      StepMetrics read = assertInstanceOf(StepMetrics.class, MetricsJson.parse(line).orElseThrow());
      assertTrue(Double.isNaN(read.loss()));
    }
  }

  @Test
  void shouldShowEachLineAtOnce() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    try (MetricsLog log = MetricsLog.create(file)) {
      for (int n = 1; n <= 5; n++) {
        log.append(step(n, 1));
        assertEquals(n, read(file, 0).size());
      }
    }
  }

  @Test
  void shouldDropLaterStepsWhenTheRunResumes() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    try (MetricsLog log = MetricsLog.create(file)) {
      for (int n = 1; n <= 10; n++) {
        log.append(step(n, n));
        log.append(new ValidationMetrics(n, n));
      }
    }
    try (MetricsLog log = MetricsLog.resume(file, 6)) {
      log.append(step(7, 70));
    }
    List<MetricsRecord> records = read(file, 0);
    assertEquals(13, records.size());
    assertEquals(6, records.get(11).step());
    assertEquals(70, assertInstanceOf(StepMetrics.class, records.get(12)).loss());
    assertEquals(List.of(file), files());
  }

  @Test
  void shouldDropLaterStepsWhileItGoesOn() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    try (MetricsLog log = MetricsLog.create(file)) {
      for (int n = 1; n <= 10; n++) {
        log.append(step(n, n));
      }
      log.append(placement(1, 4));
      log.rollBack(6);
      log.append(placement(2, 6));
      log.append(step(7, 70));
      assertEquals(0, log.lost());
    }
    List<MetricsRecord> records = read(file, 0);
    assertEquals(List.of(1L, 2L, 3L, 4L, 5L, 6L, 4L, 6L, 7L), steps(records));
    assertEquals(70, assertInstanceOf(StepMetrics.class, records.getLast()).loss());
    assertEquals(List.of(file), files());
  }

  @Test
  void shouldShowNothingOfAProcessThatWasReplaced() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    try (MetricsLog zombie = MetricsLog.create(file)) {
      zombie.append(step(1, 1));
      try (MetricsLog next = MetricsLog.resume(file, 1)) {
        zombie.append(step(2, 99));
        next.append(step(2, 2));
        next.append(step(3, 3));
        zombie.rollBack(1);
        zombie.append(step(2, 99));
        next.append(step(4, 4));
      }
    }
    assertEquals(List.of(1L, 2L, 3L, 4L), steps(read(file, 0)));
  }

  @Test
  void shouldGoOnWhenItCannotBeCut() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    // The copy cannot be made where there is a folder that is not empty.
    Path occupied = Files.createDirectory(folder.resolve("metrics.jsonl.tmp"));
    Files.createFile(occupied.resolve("file"));
    List<ILoggingEvent> events = captured();
    try (MetricsLog log = MetricsLog.create(file)) {
      log.append(step(1, 1));
      log.append(step(2, 2));
      log.rollBack(1);
      log.append(step(2, 20));
    }
    assertEquals(List.of(1L, 2L, 2L), steps(read(file, 0)));
    assertEquals(1, events.size());
    assertTrue(events.getFirst().getFormattedMessage().contains("HINT"), events.toString());
  }

  @Test
  void shouldTellThePlacementOfAnEpoch() throws IOException {
    assertEquals(
        "{\"step\":6,\"epoch\":2,\"placement\":{"
            + "\"a\":{\"ranks\":[1],\"experts\":[\"0/0\",\"1/1\"]},"
            + "\"b\":{\"ranks\":[0],\"experts\":[\"1/0\"]},"
            + "\"c\":{\"ranks\":[],\"experts\":[]}}}",
        MetricsJson.toLine(placement(2, 6)));
    Path file = folder.resolve("metrics.jsonl");
    try (MetricsLog log = MetricsLog.create(file)) {
      log.append(placement(2, 6));
    }
    assertEquals(List.of(placement(2, 6)), read(file, 0));
    Files.writeString(file, "{\"step\":6,\"epoch\":2,\"placement\":{\"a\":3}}\n");
    read(file, 1);
  }

  @Test
  void shouldTellNodesOfTheSameNameApart() {
    PlacementMetrics metrics =
        PlacementMetrics.of(
            1,
            0,
            new Placement(new TreeMap<>(), List.of(place(5))),
            Map.of(place(5), "a", place(6), "a", place(7), "b"));
    assertEquals(Set.of("a#5", "a#6", "b"), metrics.nodes().keySet());
  }

  @Test
  void shouldTellDevicesApart() {
    Place first = new Place(5, 0);
    Place second = new Place(5, 1);
    SortedMap<ExpertId, Place> experts = new TreeMap<>();
    experts.put(new ExpertId(0, 3), second);
    PlacementMetrics metrics =
        PlacementMetrics.of(
            1, 0, new Placement(experts, List.of(first)), Map.of(first, "a:0", second, "a:1"));
    assertEquals(List.of(0), metrics.nodes().get("a:0").ranks());
    assertEquals(List.of("0/3"), metrics.nodes().get("a:1").experts());
  }

  private static PlacementMetrics placement(int epoch, long step) {
    SortedMap<ExpertId, Place> experts = new TreeMap<>();
    experts.put(new ExpertId(0, 0), place(9));
    experts.put(new ExpertId(1, 1), place(9));
    experts.put(new ExpertId(1, 0), place(4));
    Placement placement = new Placement(experts, List.of(place(4), place(9)));
    return PlacementMetrics.of(
        epoch, step, placement, Map.of(place(9), "a", place(4), "b", place(1), "c"));
  }

  private static Place place(int node) {
    return new Place(node, 0);
  }

  private static List<Long> steps(List<MetricsRecord> records) {
    return records.stream().map(MetricsRecord::step).toList();
  }

  @Test
  void shouldBeginEmptyWhenThereIsNothingToResume() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    try (MetricsLog log = MetricsLog.resume(file, 6)) {
      log.append(step(7, 1));
    }
    assertEquals(1, read(file, 0).size());
  }

  @Test
  void shouldLeaveOutATornLineOfAnyLength() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    String whole = MetricsJson.toLine(step(1, 1)) + "\n";
    String last = MetricsJson.toLine(step(2, 2));
    for (int length = 1; length < last.length(); length++) {
      Files.writeString(file, whole + last.substring(0, length));
      assertEquals(1, read(file, 1).size(), "length " + length);
      MetricsLog.resume(file, 2).close();
      assertEquals(whole, Files.readString(file));
    }
  }

  @Test
  void shouldSkipWhatIsNoRecord() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    List<String> lines =
        List.of(
            "",
            "null",
            "[]",
            "3",
            "{}",
            "{\"step\":1}",
            "{\"step\":\"x\",\"val_loss\":1}",
            "{\"step\":1,\"val_loss\":[1,2]}",
            MetricsJson.toLine(new ValidationMetrics(9, 1)));
    Files.write(file, lines);
    Files.write(file, new byte[] {(byte) 0xff, (byte) 0xfe, '\n'}, StandardOpenOption.APPEND);
    List<MetricsRecord> records = read(file, 8);
    assertEquals(List.of(new ValidationMetrics(9, 1)), records);
  }

  @Test
  void shouldGoOnAndReportOnceAMinuteWhenTheDiskIsFull() throws IOException {
    SmallDisk disk = new SmallDisk();
    Instant[] now = {Instant.EPOCH};
    InstantSource clock = () -> now[0];
    List<ILoggingEvent> events = captured();
    try (MetricsLog log = new MetricsLog(disk, clock)) {
      log.append(step(1, 1));
      disk.free = 20;
      for (int n = 2; n <= 60; n++) {
        now[0] = Instant.EPOCH.plusSeconds(n);
        log.append(step(n, 1));
      }
      assertEquals(59, log.lost());
      assertEquals(1, events.size());
      now[0] = Instant.EPOCH.plusSeconds(70);
      log.append(step(61, 1));
      assertEquals(2, events.size());
      assertTrue(events.getLast().getFormattedMessage().contains("lost=60"), events.toString());
      assertTrue(events.getLast().getFormattedMessage().contains("HINT"), events.toString());
      disk.free = Integer.MAX_VALUE;
      log.append(step(62, 1));
      log.append(step(63, 1));
    }
    Path file = Files.write(folder.resolve("metrics.jsonl"), disk.written());
    List<Long> steps = read(file, 1).stream().map(MetricsRecord::step).toList();
    assertEquals(List.of(1L, 62L, 63L), steps);
  }

  @Test
  void shouldGoOnWhenTheDeviceIsFull() throws IOException {
    assumeTrue(Files.isWritable(FULL_DEVICE), "this system has no " + FULL_DEVICE);
    try (MetricsLog log = MetricsLog.create(FULL_DEVICE)) {
      log.append(step(1, 1));
      assertEquals(1, log.lost());
    }
  }

  static StepMetrics step(long step, double loss) {
    long[][] load_LE = {{10, 20, 30}, {30, 20, 10}};
    List<Ledger> ledger_L = List.of(new Ledger(60, 57, 3, 0), new Ledger(60, 60, 0, 2));
    return new StepMetrics(
        step, loss, loss, 0.01, 0.002, 0.03, 0.004, 1.5, 11000, 180, 0.05, 0.4, 1.5, ledger_L,
        load_LE);
  }

  private static List<MetricsRecord> read(Path file, long unreadable) throws IOException {
    List<MetricsRecord> records = new ArrayList<>();
    assertEquals(unreadable, MetricsFile.read(file, records::add));
    return records;
  }

  private List<Path> files() throws IOException {
    try (var paths = Files.list(folder)) {
      return paths.toList();
    }
  }

  private static List<ILoggingEvent> captured() {
    ListAppender<ILoggingEvent> appender = new ListAppender<>();
    appender.start();
    Logger logger = assertInstanceOf(Logger.class, LoggerFactory.getLogger(MetricsLog.class));
    logger.addAppender(appender);
    return appender.list;
  }

  /** A file on a disk with room for a number of bytes. */
  private static final class SmallDisk implements WritableByteChannel {
    private final StringBuilder text = new StringBuilder();
    private int free = Integer.MAX_VALUE;

    @Override
    public int write(ByteBuffer bytes) throws IOException {
      int fits = Math.min(bytes.remaining(), free);
      if (fits == 0) {
        throw new IOException("No space left on device");
      }
      text.append(StandardCharsets.UTF_8.decode(bytes.slice(bytes.position(), fits)));
      bytes.position(bytes.position() + fits);
      free -= fits;
      return fits;
    }

    byte[] written() {
      assertFalse(text.isEmpty());
      return text.toString().getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public void close() {}
  }
}
