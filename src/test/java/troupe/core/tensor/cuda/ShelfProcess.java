package troupe.core.tensor.cuda;

import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import troupe.ChildJvm;

/** Another process with a GPU, {@link ShelfMain}, told what to do by lines. */
final class ShelfProcess implements AutoCloseable {
  private final ChildJvm jvm;

  /**
   * Starts one; its GPU is open.
   *
   * @param device the name of its device
   * @param visible the GPUs that it sees, as in {@code CUDA_VISIBLE_DEVICES}; may be empty
   */
  ShelfProcess(String device, String visible) {
    Map<String, String> environment =
        visible.isEmpty() ? Map.of() : Map.of("CUDA_VISIBLE_DEVICES", visible);
    jvm = new ChildJvm(ShelfMain.class, List.of(), environment, device);
    jvm.await();
  }

  /** Has it lay elements on its shelf; returns where. */
  byte[] lay(int rows, long seed) {
    return HexFormat.of().parseHex(jvm.ask("lay " + rows + " " + seed));
  }

  /**
   * Has it lay elements, whose copy to the shelf then waits for {@link #openGate}; returns where
   * they will be, or nothing if it cannot say that before they are.
   *
   * @param folder for its signals
   */
  byte[] layLate(Path folder, int rows, long seed) {
    return HexFormat.of().parseHex(jvm.ask("late " + folder + " " + rows + " " + seed));
  }

  /** Lets what leaves go on. */
  void openGate() {
    jvm.ask("open");
  }

  /** Has it take back all that is on its shelf. */
  void takeBack() {
    jvm.ask("return");
  }

  /**
   * Has it copy elements from this process; says where they differ from what they should be, as
   * {@code MemorySegment.mismatch} does, or that they are out of reach.
   */
  String pick(byte[] reference, int rows, long seed) {
    return jvm.ask("pick " + HexFormat.of().formatHex(reference) + " " + rows + " " + seed);
  }

  /** Has it copy them over and over, for ever. */
  void keepPicking(byte[] reference, int rows) {
    jvm.ask("keep " + HexFormat.of().formatHex(reference) + " " + rows);
  }

  /** Ends it as {@code kill -9} does, and waits until it has. */
  void kill() {
    jvm.close();
  }

  @Override
  public void close() {
    kill();
  }
}
