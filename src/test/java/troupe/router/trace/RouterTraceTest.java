package troupe.router.trace;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.core.UserException;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.reference.ReferenceDevice;
import troupe.router.gate.CounterDraws;

/** What is written is what is read, to the bit, and what is torn is said to be. */
class RouterTraceTest {
  private static final int EXPERTS = 3;
  private static final int LAYER = 1;

  @TempDir private Path folder;
  private final Device device = new ReferenceDevice();

  private RunConfig config(Path run, boolean trace) {
    return ConfigLoader.parse(
        "",
        List.of(
            "run.dir=" + run,
            "gate.trace=" + trace,
            "seed=9",
            "model.seq=4",
            "train.batch=2",
            "train.ranks=2",
            "experts.count=" + EXPERTS));
  }

  private void write(RouterTrace trace, long step, int rank, double... logits_TE) {
    try (Tensor logits = device.allocate(4, EXPERTS);
        Tensor state = device.allocate(1, 2)) {
      logits.set(logits_TE);
      state.set(0.1, -7);
      trace.write(
          logits, new int[] {5, 6, 7, 8}, state, new CounterDraws(9, step, LAYER, rank * 4L));
    }
  }

  private static double[] logits(double first) {
    double[] logits_TE = new double[4 * EXPERTS];
    for (int i = 0; i < logits_TE.length; i++) {
      logits_TE[i] = first + i / 3.0;
    }
    return logits_TE;
  }

  private TraceFile open(int rank) {
    return TraceFile.open(TraceFile.path(folder.resolve(RouterTrace.FOLDER), rank, LAYER));
  }

  @Test
  void shouldReadWhatWasWrittenWhenSeveralRanksTakeSeveralSteps() {
    RouterTrace trace = RouterTrace.of(config(folder, true), LAYER);
    write(trace, 1, 0, logits(1));
    write(trace, 1, 1, logits(2));
    write(trace, 2, 0, logits(3));
    try (TraceFile file = open(0);
        TraceFile other = open(1)) {
      file.checkWhole();
      assertEquals(List.of(1L, 2L), file.steps());
      assertEquals(List.of(1L), other.steps());
      assertEquals(9, file.seed());
      assertEquals(LAYER, file.layer());
      assertEquals(1, other.rank());
      TraceRecord record = other.read(1, 4);
      assertArrayEquals(logits(2), record.logits_TE());
      assertArrayEquals(new int[] {5, 6, 7, 8}, record.ids_T());
      assertArrayEquals(new double[] {0.1, -7}, record.state());
      assertEquals(EXPERTS, record.experts());
    }
  }

  @Test
  void shouldStoreFloatsWhenTheyLoseNothing() {
    double[] floats = {0.5, (float) 0.1, -3};
    TraceRecord record = new TraceRecord(1, 0, EXPERTS, new int[1], new double[0], floats);
    assertEquals(TraceRecord.HEADER + 4 + 3 * Float.BYTES, record.encode().limit());
    assertArrayEquals(floats, TraceRecord.decode(record.encode()).logits_TE());
    TraceRecord doubles =
        new TraceRecord(1, 0, EXPERTS, new int[1], new double[0], new double[] {0.1, 0, 0});
    assertArrayEquals(doubles.logits_TE(), TraceRecord.decode(doubles.encode()).logits_TE());
  }

  @Test
  void shouldTakeTheLastWhenAStepWasTrainedTwice() {
    RouterTrace trace = RouterTrace.of(config(folder, true), LAYER);
    write(trace, 1, 0, logits(1));
    write(trace, 1, 0, logits(5));
    try (TraceFile file = open(0)) {
      assertArrayEquals(logits(5), file.read(1, 0).logits_TE());
    }
  }

  @Test
  void shouldNameThePlaceWhenTorn() throws IOException {
    write(RouterTrace.of(config(folder, true), LAYER), 1, 0, logits(1));
    Path path = TraceFile.path(folder.resolve(RouterTrace.FOLDER), 0, LAYER);
    long whole = Files.size(path);
    write(RouterTrace.of(config(folder, true), LAYER), 2, 0, logits(2));
    byte[] bytes = Files.readAllBytes(path);
    Files.write(path, Arrays.copyOf(bytes, bytes.length - 5));
    try (TraceFile file = open(0)) {
      UserException torn = assertThrows(UserException.class, file::checkWhole);
      assertTrue(torn.getMessage().contains("torn at byte " + whole), torn.getMessage());
      assertTrue(torn.hint().contains("truncate -s " + whole), torn.hint());
    }
    // Whoever goes on writing cuts it off.
    write(RouterTrace.of(config(folder, true), LAYER), 2, 0, logits(3));
    try (TraceFile file = open(0)) {
      file.checkWhole();
      assertArrayEquals(logits(3), file.read(2, 0).logits_TE());
    }
  }

  @Test
  void shouldRefuseARecordWhenABitFlipped() throws IOException {
    write(RouterTrace.of(config(folder, true), LAYER), 1, 0, logits(1));
    Path path = TraceFile.path(folder.resolve(RouterTrace.FOLDER), 0, LAYER);
    byte[] bytes = Files.readAllBytes(path);
    bytes[bytes.length - 3] ^= 4;
    Files.write(path, bytes);
    try (TraceFile file = open(0)) {
      assertThrows(UserException.class, () -> file.read(1, 0));
    }
    Files.write(path, new byte[100]);
    assertThrows(UserException.class, () -> open(0));
  }

  @Test
  void shouldLetTrainingGoOnWhenTheDiskRefuses() throws IOException {
    Path run = folder.resolve("run");
    Files.createDirectories(run);
    Files.writeString(run.resolve(RouterTrace.FOLDER), "in the way");
    RouterTrace trace = RouterTrace.of(config(run, true), LAYER);
    write(trace, 1, 0, logits(1));
    write(trace, 2, 0, logits(1));
    assertEquals("in the way", Files.readString(run.resolve(RouterTrace.FOLDER)));
  }

  @Test
  void shouldLeaveNothingWhenNotAskedTo() {
    assertNull(RouterTrace.of(config(folder, false), LAYER));
  }
}
