package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import troupe.Eventually;
import troupe.core.tensor.Staged;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cuda.driver.CudaLibraries;

/** What {@link StagedCopiesTest} has a fake for, with the first GPU of this machine. */
@Tag("gpu")
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class GpuStagingTest {
  /** Half a second at 2 GHz: long against any call that waits for nothing. */
  private static final long CYCLES = 1_000_000_000L;

  private static final long SHORT_NS = 100_000_000;

  private static final String SPIN =
      """
      extern "C" __global__ void spin(long long cycles) {
        long long begin = clock64();
        while (clock64() - begin < cycles) {}
      }
      """;

  private CudaDevice device;

  @BeforeEach
  void open() {
    assumeTrue(CudaDevices.mayBePresent(), "no NVIDIA GPU here");
    CudaLibraries libraries = new CudaLibraries("");
    device =
        new CudaDevice(
            libraries.driver(),
            0,
            Duration.ofSeconds(30),
            capability -> {
              List<byte[]> all =
                  new ArrayList<>(KernelSources.compile(libraries.compiler(), capability));
              all.add(
                  libraries
                      .compiler()
                      .compile("spin.cu", SPIN, List.of("--gpu-architecture=sm_" + capability))
                      .code());
              return all;
            },
            libraries::matrixProducts);
  }

  @AfterEach
  void close() {
    if (device != null) {
      device.close();
    }
  }

  private static void fill(MemorySegment memory, long seed) {
    Random random = new Random(seed);
    for (long at = 0; at < memory.byteSize(); at += Short.BYTES) {
      memory.set(ValueLayout.JAVA_SHORT, at, (short) random.nextInt());
    }
  }

  private static long bytes(Tensor tensor) {
    return tensor.size() * tensor.dtype().bytes();
  }

  private static MemorySegment onHost(Tensor tensor) {
    MemorySegment host = Arena.ofAuto().allocate(bytes(tensor), Long.BYTES);
    tensor.copyTo(host);
    return host;
  }

  private static void assertSame(MemorySegment expected, MemorySegment found, Object what) {
    assertEquals(-1, expected.mismatch(found), () -> "first byte that differs of " + what);
  }

  private static void assertAll(float expected, MemorySegment floats) {
    for (long at = 0; at < floats.byteSize(); at += Float.BYTES) {
      float found = floats.get(ValueLayout.JAVA_FLOAT, at);
      if (found != expected) {
        throw new AssertionError("byte " + at + ": " + found + " (expected: " + expected + ")");
      }
    }
  }

  /** A tensor whose elements came as from another process, and what they are. */
  private Tensor arrived(int rows, int columns, boolean activations, MemorySegment expected) {
    Staged come = device.receive(expected.byteSize());
    come.bytes().copyFrom(expected);
    return device.copyIn(rows, columns, activations, come);
  }

  @ParameterizedTest
  @CsvSource({"0, 8", "1, 1", "7, 13", "511, 64", "4096, 1024", "5000, 4096"})
  void shouldBringEveryByteInAndOut(int rows, int columns) {
    for (boolean activations : new boolean[] {true, false}) {
      long size = (long) rows * columns * (activations ? Short.BYTES : Float.BYTES);
      MemorySegment expected = Arena.ofAuto().allocate(size, Long.BYTES);
      fill(expected, rows + columns);
      Tensor tensor = arrived(rows, columns, activations, expected);
      assertSame(expected, onHost(tensor), "what came");
      try (Staged lent = device.copyOut(tensor, device.fence(), false)) {
        assertSame(expected, lent.bytes(), "what is lent");
      }
      try (Staged given = device.copyOut(tensor, device.fence(), true)) {
        assertSame(expected, given.bytes(), "what is given");
      }
      tensor.close();
      assertEquals(0, device.allocatedBytes());
    }
  }

  @Test
  void shouldSendRowsOnThatHaveJustCome() {
    MemorySegment expected = Arena.ofAuto().allocate(32L << 20, Long.BYTES);
    fill(expected, 3);
    // Nothing has touched it: the copy out itself waits for that in.
    Tensor tensor = arrived(4096, 4096, true, expected);
    try (Staged given = device.copyOut(tensor, device.fence(), true)) {
      assertSame(expected, given.bytes(), "what is passed on");
    }
  }

  @Test
  void shouldWaitForNothingWhileTheGpuWorks() {
    int rows = 1024;
    Tensor tensor = device.allocate(rows, rows);
    MemorySegment expected = Arena.ofAuto().allocate(bytes(tensor), Long.BYTES);
    fill(expected, 4);
    // Memory has to be pinned first, and code loaded: both may wait for what runs.
    device.kernels().fill(tensor, 0);
    device.copyOut(tensor, device.fence(), false).bytes();
    arrived(rows, rows, false, expected).close();
    onHost(tensor);

    device.launcher().launch("spin", Grid.line(1, 1), CYCLES);
    device.kernels().fill(tensor, 3);
    long beganNs = System.nanoTime();
    Staged out = device.copyOut(tensor, device.fence(), true);
    assertFalse(out.isDone());
    Staged come = device.receive(bytes(tensor));
    come.bytes().copyFrom(expected);
    long place = come.bytes().address();
    Tensor in = device.copyIn(rows, rows, false, come);
    long tookNs = System.nanoTime() - beganNs;
    assertTrue(tookNs < SHORT_NS, tookNs + " ns");
    // Nothing is said of when the copy in is made: the pool may give it memory that comes free
    // behind the work.
    assertFalse(out.isDone(), "the work goes on");
    Eventually.await("the copy out, behind the work", out::isDone);
    Eventually.await(
        "the end of the copy in",
        () -> {
          try (Staged next = device.receive(bytes(in))) {
            return next.bytes().address() == place;
          }
        });
    assertTrue(System.nanoTime() - beganNs > SHORT_NS);
    assertAll(3, out.bytes());
    out.close();
    assertSame(expected, onHost(in), "what came");
    in.close();
  }

  @Test
  void shouldKeepRowsApartWhenManyAreUnderWay() throws Exception {
    try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
      Future<?> out = threads.submit(this::copyManyOut);
      Future<?> in = threads.submit(this::copyManyIn);
      out.get();
      in.get();
    }
    assertEquals(0, device.allocatedBytes());
  }

  private record Out(Staged staged, Tensor lent, float value) {
    void check() {
      assertAll(value, staged.bytes());
      staged.close();
      if (lent != null) {
        lent.close();
      }
    }
  }

  private void copyManyOut() {
    Random random = new Random(8);
    ArrayDeque<Out> outs = new ArrayDeque<>();
    for (int i = 0; i < 600; i++) {
      int rows = 1 + random.nextInt(1 << 10);
      Tensor tensor = device.allocate(rows, 512);
      device.kernels().fill(tensor, i);
      boolean last = i % 2 == 0;
      outs.add(new Out(device.copyOut(tensor, device.fence(), last), last ? null : tensor, i));
      if (i % 7 == 0) {
        // Nobody waits for this one, whose memory others get.
        Tensor dropped = device.zeros(rows, 512);
        device.copyOut(dropped, device.fence(), false).close();
        dropped.close();
      }
      // Where the tensor was, as soon as that may be.
      try (Tensor other = device.allocate(rows, 512)) {
        device.kernels().fill(other, -1);
      }
      while (outs.size() > 40) {
        outs.poll().check();
      }
    }
    outs.forEach(Out::check);
  }

  private void copyManyIn() {
    Random random = new Random(9);
    ArrayDeque<Runnable> checks = new ArrayDeque<>();
    for (int i = 0; i < 600; i++) {
      int rows = 1 + random.nextInt(1 << 9);
      MemorySegment expected = Arena.ofAuto().allocate(rows * 512L * Short.BYTES, Long.BYTES);
      fill(expected, i);
      Tensor tensor = arrived(rows, 512, true, expected);
      if (i % 5 == 0) {
        // Nothing ever touches this one.
        tensor.close();
        device.receive(1 << 20).close();
      } else {
        String what = "number " + i;
        checks.add(
            () -> {
              assertSame(expected, onHost(tensor), what);
              tensor.close();
            });
      }
      while (checks.size() > 20) {
        checks.poll().run();
      }
    }
    checks.forEach(Runnable::run);
  }

  @Test
  void shouldSendMoreThanThereIsPinnedMemoryFor() {
    List<Out> outs = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      Tensor tensor = device.allocate(1 << 12, 1 << 10);
      device.kernels().fill(tensor, i);
      outs.add(new Out(device.copyOut(tensor, device.fence(), false), tensor, i));
    }
    // The last ones have found none, and go through ordinary memory or that of the first.
    outs.forEach(Out::check);
  }
}
