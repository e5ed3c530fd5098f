package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.io.TempDirFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Eventually;
import troupe.core.tensor.Device.PickedUp;
import troupe.core.tensor.Staged;
import troupe.core.tensor.Tensor;

/**
 * What {@link ShelfTest} has a fake for: this process and another, on one GPU and on two. A machine
 * where processes cannot share memory of GPUs skips all of it.
 */
@Tag("gpu")
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class GpuShelfTest {
  static final int COLUMNS = 1024;
  private static final int CHILD = 2;

  /** 64 MiB. */
  private static final int MANY_ROWS = 1 << 15;

  /** Of signals: where the transport has its files, too. A file on a disk is of no use to a GPU. */
  @TempDir(factory = SharedMemory.class)
  private Path folder;

  private CudaDevice device;

  private static final class SharedMemory implements TempDirFactory {
    @Override
    public Path createTempDirectory(AnnotatedElementContext field, ExtensionContext test)
        throws IOException {
      return Files.createTempDirectory(Path.of("/dev/shm"), "troupe-");
    }
  }

  @BeforeEach
  void open() {
    assumeTrue(CudaDevices.mayBePresent(), "no NVIDIA GPU here");
    device = CudaDevices.open("cuda:0", "", CudaDevices.PATIENCE);
    Staged first = lay(device, 1, 1);
    assumeTrue(first != null, "memory of this GPU cannot be shared between processes");
    first.close();
  }

  @AfterEach
  void close() {
    if (device != null) {
      device.close();
    }
  }

  /** Where the other process has its GPU, and which ones it sees. */
  static Stream<Arguments> others() {
    Stream<Arguments> one = Stream.of(Arguments.of("cuda:0", ""));
    return CudaDevices.likelyCount() < 2
        ? one
        : Stream.concat(one, Stream.of(Arguments.of("cuda:1", ""), Arguments.of("cuda:0", "1")));
  }

  static long bytes(int rows) {
    return (long) rows * COLUMNS * Short.BYTES;
  }

  /** Elements that follow from a seed. */
  static MemorySegment elements(int rows, long seed) {
    MemorySegment memory = Arena.ofAuto().allocate(bytes(rows), Long.BYTES);
    Random random = new Random(seed);
    for (long at = 0; at < memory.byteSize(); at += Long.BYTES) {
      memory.set(ValueLayout.JAVA_LONG, at, random.nextLong());
    }
    return memory;
  }

  static Tensor tensor(CudaDevice device, int rows, long seed) {
    Tensor tensor = device.allocateActivations(rows, COLUMNS);
    tensor.copyFrom(elements(rows, seed));
    return tensor;
  }

  /** Elements on a shelf; {@code null} if there is none. */
  static Staged lay(CudaDevice device, int rows, long seed) {
    Tensor tensor = tensor(device, rows, seed);
    Staged staged = device.shelve(tensor, device.fence(), true);
    if (staged == null) {
      tensor.close();
      return null;
    }
    Eventually.await("the copy to the shelf", staged::isDone);
    return staged;
  }

  private void assertPicksUp(byte[] reference, int rows, long seed) {
    MemorySegment found = ShelfMain.pick(device, CHILD, reference, rows);
    assertNotNull(found, "out of reach");
    assertEquals(-1, elements(rows, seed).mismatch(found), "first byte that differs");
  }

  private void assertWorks() {
    Tensor tensor = device.zeros(1 << 10, COLUMNS);
    device.kernels().fill(tensor, 3);
    assertEquals(3, tensor.toDoubles()[12_345]);
    tensor.close();
    assertEquals(0, device.allocatedBytes());
  }

  @ParameterizedTest
  @MethodSource("others")
  void shouldBringEveryByteFromOneProcessToTheOther(String name, String visible) {
    try (ShelfProcess other = new ShelfProcess(name, visible)) {
      int[] sizes = {1, 7, 511, 4096, MANY_ROWS, 5000, 3};
      for (int seed = 0; seed < sizes.length; seed++) {
        assertPicksUp(other.lay(sizes[seed], seed), sizes[seed], seed);
      }
      other.takeBack();
      for (int seed = 0; seed < 2 * sizes.length; seed++) {
        int rows = sizes[seed % sizes.length];
        try (Staged staged = lay(device, rows, seed)) {
          assertEquals("-1", other.pick(staged.reference(), rows, seed));
        }
      }
    }
    assertWorks();
  }

  @ParameterizedTest
  @MethodSource("others")
  void shouldKeepRowsApartWherePlacesAreUsedAgain(String name, String visible) {
    try (ShelfProcess other = new ShelfProcess(name, visible)) {
      Random random = new Random(5);
      for (int round = 0; round < 20; round++) {
        List<Integer> rows = random.ints(10, 1, 2000).boxed().toList();
        List<byte[]> places = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
          places.add(other.lay(rows.get(i), 100L * round + i));
        }
        for (int i = 0; i < rows.size(); i++) {
          assertPicksUp(places.get(i), rows.get(i), 100L * round + i);
        }
        other.takeBack();
      }
    }
  }

  @ParameterizedTest
  @MethodSource("others")
  void shouldGoOnWhenALenderIsKilledWhileItIsReadFrom(String name, String visible) {
    try (ShelfProcess other = new ShelfProcess(name, visible)) {
      byte[] reference = other.lay(MANY_ROWS, 1);
      byte[] unopened = other.lay(1, 2);
      assertPicksUp(reference, MANY_ROWS, 1);
      List<PickedUp> underWay = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        underWay.add(device.pickUp(CHILD, reference, MANY_ROWS, COLUMNS, true));
      }
      other.kill();
      underWay.forEach(rows -> Eventually.await("copies", rows.over()::getAsBoolean));
      underWay.forEach(rows -> rows.tensor().close());
      // What is open keeps memory from being given to others; the rest is out of reach, no fault.
      assertPicksUp(reference, MANY_ROWS, 1);
      ShelfMain.pick(device, CHILD, unopened, 1);
      device.forget(CHILD);
      assertWorks();
    }
    // Its memory is free now, and a process that comes in its place is reached.
    try (ShelfProcess next = new ShelfProcess(name, visible)) {
      assertPicksUp(next.lay(100, 3), 100, 3);
    }
  }

  private byte[] layLate(ShelfProcess other, int rows, long seed) {
    byte[] reference = other.layLate(folder, rows, seed);
    assumeTrue(reference.length > 0, "streams of this GPU wait for no memory of the host");
    return reference;
  }

  @ParameterizedTest
  @MethodSource("others")
  void shouldWaitOnTheGpuForWhatIsNotThereYet(String name, String visible) {
    try (ShelfProcess other = new ShelfProcess(name, visible)) {
      for (int seed = 0; seed < 20; seed++) {
        byte[] reference = layLate(other, MANY_ROWS, seed);
        PickedUp rows = device.pickUp(CHILD, reference, MANY_ROWS, COLUMNS, true);
        assertNotNull(rows, "out of reach");
        assertFalse(rows.over().getAsBoolean());
        other.openGate();
        // Asked for while the copy waits, or is under way: the GPU waits, and so does the host.
        MemorySegment found = Arena.ofAuto().allocate(bytes(MANY_ROWS), Long.BYTES);
        rows.tensor().copyTo(found);
        rows.tensor().close();
        assertEquals(-1, elements(MANY_ROWS, seed).mismatch(found), "seed " + seed);
        assertTrue(rows.over().getAsBoolean());
        other.takeBack();
      }
    }
    assertWorks();
  }

  @ParameterizedTest
  @MethodSource("others")
  void shouldGoOnWhenALenderIsKilledBeforeItsRowsAreThere(String name, String visible) {
    try (ShelfProcess other = new ShelfProcess(name, visible)) {
      PickedUp rows = device.pickUp(CHILD, layLate(other, MANY_ROWS, 1), MANY_ROWS, COLUMNS, true);
      assertNotNull(rows, "out of reach");
      other.kill();
      assertFalse(rows.over().getAsBoolean());
      // Other work of the GPU goes on meanwhile.
      try (Tensor tensor = device.zeros(1 << 10, COLUMNS)) {
        assertEquals(0, tensor.toDoubles()[12_345]);
      }
      rows.abandon().run();
      Eventually.await("the copy", rows.over()::getAsBoolean);
      rows.tensor().close();
      device.forget(CHILD);
    }
    assertWorks();
  }

  @ParameterizedTest
  @MethodSource("others")
  void shouldGoOnWhenABorrowerIsKilledWhileItReads(String name, String visible) {
    try (Staged staged = lay(device, MANY_ROWS, 1)) {
      ShelfProcess other = new ShelfProcess(name, visible);
      other.keepPicking(staged.reference(), MANY_ROWS);
      other.kill();
    }
    try (ShelfProcess next = new ShelfProcess(name, visible);
        Staged staged = lay(device, MANY_ROWS, 2)) {
      assertEquals("-1", next.pick(staged.reference(), MANY_ROWS, 2));
    }
    assertWorks();
  }

  @ParameterizedTest
  @MethodSource("others")
  void shouldTellHowFastItIs(String name, String visible) {
    try (ShelfProcess other = new ShelfProcess(name, visible)) {
      for (int rows : new int[] {1, 512, MANY_ROWS}) {
        byte[] reference = other.lay(rows, 1);
        ShelfMain.pick(device, CHILD, reference, rows);
        long beganNs = System.nanoTime();
        int times = 100;
        PickedUp last = null;
        for (int i = 0; i < times; i++) {
          last = device.pickUp(CHILD, reference, rows, COLUMNS, true);
          last.tensor().close();
        }
        long queuedNs = System.nanoTime() - beganNs;
        Eventually.await("copies", last.over()::getAsBoolean);
        long tookNs = System.nanoTime() - beganNs;
        System.out.printf(
            "GpuShelfTest other=%s visible=%s bytes=%d us=%.1f GB/s=%.1f host us=%.1f%n",
            name,
            visible,
            bytes(rows),
            tookNs / 1e3 / times,
            (double) bytes(rows) * times / tookNs,
            queuedNs / 1e3 / times);
      }
    }
  }
}
