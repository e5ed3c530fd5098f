package troupe.core.tensor.cuda;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import troupe.ChildJvm;
import troupe.core.tensor.Device.PickedUp;
import troupe.core.tensor.Staged;
import troupe.core.tensor.Tensor;

/** The main class of a {@link ShelfProcess}: has things on its shelf, and copies from others'. */
final class ShelfMain {
  /** The number of the only other process. */
  static final int PARENT = 1;

  private final CudaDevice device;
  private final List<Staged> laid = new ArrayList<>();

  /** Holds up what leaves. */
  private Signals gate;

  private int gates;

  private ShelfMain(CudaDevice device) {
    this.device = device;
  }

  /** Argument: the name of the device. */
  public static void main(String[] args) throws IOException {
    try (CudaDevice device = CudaDevices.open(args[0], "", CudaDevices.PATIENCE)) {
      ShelfMain shelf = new ShelfMain(device);
      ChildJvm.answer("ready");
      BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
      String line;
      while ((line = in.readLine()) != null) {
        ChildJvm.answer(shelf.onCommand(line.split(" ")));
      }
    }
  }

  private String onCommand(String[] words) throws IOException {
    switch (words[0]) {
      case "lay" -> {
        return HexFormat.of().formatHex(lay(Integer.parseInt(words[1]), Long.parseLong(words[2])));
      }
      case "late" -> {
        Path folder = Path.of(words[1]);
        gate = gate == null ? Signals.create(device.gpu(), folder) : gate;
        device.signalIn(folder);
        gate.await(device.gpu().toHostStream(), ++gates);
        Tensor tensor =
            GpuShelfTest.tensor(device, Integer.parseInt(words[2]), Long.parseLong(words[3]));
        Staged staged = device.shelve(tensor, device.fence(), true);
        laid.add(staged);
        return staged.tellsWhenDone() && !staged.isDone()
            ? HexFormat.of().formatHex(staged.reference())
            : "";
      }
      case "open" -> {
        gate.forge(gates);
        return "done";
      }
      case "return" -> {
        laid.forEach(Staged::close);
        laid.clear();
        return "done";
      }
      case "pick" -> {
        byte[] reference = HexFormat.of().parseHex(words[1]);
        int rows = Integer.parseInt(words[2]);
        MemorySegment found = pick(device, PARENT, reference, rows);
        return found == null
            ? "out of reach"
            : "" + GpuShelfTest.elements(rows, Long.parseLong(words[3])).mismatch(found);
      }
      case "keep" -> {
        byte[] reference = HexFormat.of().parseHex(words[1]);
        int rows = Integer.parseInt(words[2]);
        pick(device, PARENT, reference, rows);
        ChildJvm.answer("picking");
        while (true) {
          pick(device, PARENT, reference, rows);
        }
      }
      default -> throw new IllegalArgumentException(words[0]);
    }
  }

  private byte[] lay(int rows, long seed) {
    Staged staged = GpuShelfTest.lay(device, rows, seed);
    laid.add(staged);
    return staged.reference();
  }

  /** What is there, on the host; {@code null} if it is out of reach. */
  static MemorySegment pick(CudaDevice device, int lender, byte[] reference, int rows) {
    PickedUp picked = device.pickUp(lender, reference, rows, GpuShelfTest.COLUMNS, true);
    if (picked == null) {
      return null;
    }
    try (Tensor tensor = picked.tensor()) {
      MemorySegment host = Arena.ofAuto().allocate(GpuShelfTest.bytes(rows), Long.BYTES);
      tensor.copyTo(host);
      if (!picked.over().getAsBoolean()) {
        throw new IllegalStateException("a copy that was waited for goes on");
      }
      return host;
    }
  }
}
