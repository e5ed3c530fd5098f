package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.UserException;
import troupe.core.tensor.DeviceException;
import troupe.core.tensor.Readback;
import troupe.core.tensor.Staged;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.WeightGradient;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.FakeCuda;

/** What a device does when its GPU fails; without one. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class CudaDeviceTest {
  private static final Duration PATIENCE = Duration.ofMillis(50);

  private final FakeCuda cuda = new FakeCuda();

  private CudaDevice open() {
    return FakeDevice.on(cuda, PATIENCE);
  }

  /** Products of experts that a GPU of Hopper's does together, and so puts off. */
  private record Experts(CudaDevice device, Tensor out, Tensor x, Tensor w)
      implements AutoCloseable {
    Experts(CudaDevice device) {
      this(device, matrix(device), matrix(device), matrix(device));
    }

    private static Tensor matrix(CudaDevice device) {
      return device.allocateActivations(64, 64);
    }

    void multiply(int from, int to) {
      for (int expert = from; expert < to; expert++) {
        device.concurrently(expert, () -> device.kernels().matmul(out, x, false, w, false, false));
      }
    }

    @Override
    public void close() {
      out.close();
      x.close();
      w.close();
    }
  }

  @Test
  void shouldGiveEverythingBack() {
    CudaDevice device = open();
    device.allocate(3, 3).close();
    device.read(device.allocate(1, 1)).values();
    try (Experts experts = new Experts(device);
        Tensor bias = device.zeros(1, 64)) {
      experts.multiply(0, 1);
      device.gpu().stream();
      experts.multiply(0, 20);
      device.kernels().linear(experts.out(), experts.x(), experts.w(), bias, null);
    }
    assertTrue(
        cuda.open().containsAll(List.of("cublasLtMatmulDescCreate", "cublasLtMatrixLayoutCreate")),
        cuda.open().toString());
    device.close();
    assertEquals(List.of("cuMemAllocFromPoolAsync"), cuda.open(), "the tensor that is not closed");
  }

  @Test
  void shouldMakeAContextThatIsOpenedAgainThatOfEveryThread() throws Exception {
    try (ExecutorService other = Executors.newSingleThreadExecutor()) {
      for (int time = 0; time < 2; time++) {
        CudaDevice device = open();
        int before = cuda.calls().size();
        other.submit(() -> device.allocate(1, 1).close()).get();
        assertEquals("cuCtxSetCurrent", cuda.callsSince(before).getFirst());
        device.close();
      }
    }
  }

  @Test
  void shouldGiveBackWhatItHadWhicheverCallFailsWhenItIsOpened() {
    open().close();
    int before = cuda.calls().size();
    CudaDevice device = open();
    List<String> calls = cuda.callsSince(before);
    device.close();
    for (int call = 0; call < calls.size(); call++) {
      cuda.failAfter(call);
      assertThrows(CudaException.class, this::open, calls.get(call));
      assertEquals(List.of(), cuda.open(), "after " + calls.get(call));
    }
    open().close();
  }

  @Test
  void shouldGiveBackTheRestWhicheverThingCannotBeGivenBack() {
    CudaDevice whole = openAndUse();
    int before = cuda.calls().size();
    whole.close();
    List<String> calls = cuda.callsSince(before);
    for (int call = 0; call < calls.size(); call++) {
      if (calls.get(call).matches(".*(Destroy|Free|Unload|Release).*")) {
        CudaDevice device = openAndUse();
        cuda.failAfter(call);
        assertThrows(CudaException.class, device::close, calls.get(call));
        assertEquals(1, cuda.open().size(), calls.get(call) + " leaves " + cuda.open());
        cuda.forget();
      }
    }
  }

  private CudaDevice openAndUse() {
    CudaDevice device = open();
    try (Experts experts = new Experts(device);
        Tensor bias = device.zeros(1, 64)) {
      experts.multiply(0, 20);
      device.gpu().stream();
      device.profiler().begin();
      device.kernels().linear(experts.out(), experts.x(), experts.w(), bias, null);
      device.profiler().end();
      device.read(experts.out()).values();
    }
    return device;
  }

  /** Everything that waits for a GPU. */
  private enum Wait {
    VALUES {
      @Override
      void on(CudaDevice device, Tensor tensor, MemorySegment host) {
        device.read(tensor).values();
      }
    },
    COPY_TO {
      @Override
      void on(CudaDevice device, Tensor tensor, MemorySegment host) {
        tensor.copyTo(host);
      }
    },
    COPY_FROM {
      @Override
      void on(CudaDevice device, Tensor tensor, MemorySegment host) {
        tensor.copyFrom(host);
      }
    },
    COPY_OUT {
      @Override
      void on(CudaDevice device, Tensor tensor, MemorySegment host) {
        device.copyOut(tensor, device.fence(), false).bytes();
      }
    },
    QUESTION {
      @Override
      void on(CudaDevice device, Tensor tensor, MemorySegment host) {
        Staged staged = device.copyOut(tensor, device.fence(), false);
        while (!staged.isDone()) {
          Thread.onSpinWait();
        }
      }
    },
    PROFILE {
      @Override
      void on(CudaDevice device, Tensor tensor, MemorySegment host) {
        device.profiler().end();
      }
    };

    abstract void on(CudaDevice device, Tensor tensor, MemorySegment host);
  }

  @ParameterizedTest
  @EnumSource(Wait.class)
  void shouldNameTheLastKernelsWhenTheGpuHangs(Wait wait) {
    CudaDevice device = open();
    // More than the memory that copies go through.
    Tensor tensor = device.allocate(3 << 10, 3 << 10);
    device.launcher().launch("softmax", Grid.line(1, 32));
    device.launcher().launch("layer_norm", Grid.line(1, 32));
    cuda.hangs(true);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(tensor.size() * Float.BYTES, Float.BYTES);
      DeviceException e = assertThrows(DeviceException.class, () -> wait.on(device, tensor, host));
      assertTrue(e.isLost());
      assertEquals(
          "cuda:0: what was queued has not ended within 0 s;"
              + " the last kernels queued were softmax, layer_norm",
          e.line());
      assertTrue(e.hint().contains("cuda.wait_timeout_seconds"), e.hint());
    }
  }

  @Test
  void shouldSayThatNoKernelWasQueued() {
    CudaDevice device = open();
    Tensor tensor = device.allocate(1, 1);
    cuda.hangs(true);
    DeviceException e = assertThrows(DeviceException.class, tensor::toDoubles);
    assertTrue(e.line().endsWith("; no kernel was queued"), e.line());
  }

  @Test
  void shouldTellWhoWantsToKnowThatTheGpuHangs() throws InterruptedException {
    CudaDevice device = open();
    cuda.hangs(true);
    Readback read = device.read(device.allocate(1, 1));
    CountDownLatch told = new CountDownLatch(1);
    read.whenDone(told::countDown);
    assertTrue(told.await(30, TimeUnit.SECONDS));
    assertTrue(assertThrows(DeviceException.class, read::values).isLost());
  }

  @Test
  void shouldTellOneAlone() {
    CudaDevice device = open();
    Readback read = device.read(device.allocate(1, 1));
    read.whenDone(() -> {});
    assertThrows(IllegalStateException.class, () -> read.whenDone(() -> {}));
    device.close();
  }

  @Test
  void shouldTellOthersThoughOneFails() throws InterruptedException {
    CudaDevice device = open();
    device
        .read(device.allocate(1, 1))
        .whenDone(
            () -> {
              throw new IllegalStateException("the first one");
            });
    CountDownLatch told = new CountDownLatch(1);
    device.read(device.allocate(1, 1)).whenDone(told::countDown);
    assertTrue(told.await(30, TimeUnit.SECONDS));
    device.close();
  }

  @Test
  void shouldNotWaitForEverForWhoIsTold() throws InterruptedException {
    CudaDevice device = open();
    CountDownLatch told = new CountDownLatch(1);
    CountDownLatch end = new CountDownLatch(1);
    device
        .read(device.allocate(1, 1))
        .whenDone(
            () -> {
              told.countDown();
              while (end.getCount() > 0) {
                Thread.onSpinWait();
              }
            });
    told.await();
    assertTrue(
        assertThrows(IllegalStateException.class, device::close)
            .getMessage()
            .startsWith("cuda:0-readbacks: still busy after PT0.05S"));
    assertFalse(cuda.open().contains("cuStreamCreate"), "the rest");
    end.countDown();
  }

  @Test
  void shouldCloseThoughWhatIsPutOffHasNoRoom() {
    CudaDevice device = open();
    Experts experts = new Experts(device);
    cuda.hangs(true); // busy, for all that is known
    experts.multiply(0, 11);
    cuda.hangs(false);
    experts.close();
    cuda.fail("cuMemAlloc_v2", CudaException.OUT_OF_MEMORY);
    device.close();
    assertEquals(List.of(), cuda.open());
  }

  @Test
  void shouldLeaveAGpuThatHangsAsItIs() {
    CudaDevice device = open();
    Experts experts = new Experts(device);
    cuda.hangs(true);
    experts.multiply(0, 7);
    List<String> before = cuda.open();
    device.close();
    assertTrue(cuda.open().containsAll(before), cuda.open().toString());
    assertFalse(cuda.calls().contains("cuLaunchKernelEx"), "what is put off");
  }

  @Test
  void shouldAskNothingMoreOfAGpuThatHangs() {
    CudaDevice device = open();
    Tensor tensor = device.allocate(1, 1);
    cuda.hangs(true);
    assertThrows(DeviceException.class, tensor::toDoubles);
    int before = cuda.calls().size();
    // Even to free something may take for ever.
    tensor.close();
    device.close();
    List<String> calls = cuda.callsSince(before);
    assertTrue(calls.stream().allMatch("cuEventQuery"::equals), calls.toString());
  }

  @Test
  void shouldAskNothingMoreOfAGpuThatHangsWithProductsPutOff() {
    CudaDevice device = open();
    Experts experts = new Experts(device);
    cuda.hangs(true);
    Readback read = device.read(experts.out());
    experts.multiply(0, 3);
    assertThrows(DeviceException.class, read::values);
    int before = cuda.calls().size();
    experts.multiply(3, 20);
    experts.close();
    device.close();
    List<String> calls = cuda.callsSince(before);
    assertTrue(calls.stream().allMatch("cuEventQuery"::equals), calls.toString());
  }

  @Test
  void shouldNameTheLastKernelsThoughALaunchDoesNotReturn() throws InterruptedException {
    CudaDevice device = open();
    device.launcher().launch("softmax", Grid.line(1, 32));
    cuda.hangs(true);
    Readback read = device.read(device.allocate(1, 1));
    CountDownLatch room = new CountDownLatch(1);
    cuda.hold("cuLaunchKernelEx", room);
    int before = cuda.calls().size();
    Thread launches =
        Thread.ofPlatform().start(() -> device.launcher().launch("layer_norm", Grid.line(1, 32)));
    while (!cuda.callsSince(before).contains("cuLaunchKernelEx")) {
      Thread.onSpinWait();
    }
    DeviceException e = assertThrows(DeviceException.class, read::values);
    assertTrue(e.line().endsWith("the last kernels queued were softmax, tell_host"), e.line());
    room.countDown();
    launches.join();
  }

  @Test
  void shouldFreeMemoryBehindProductsThatArePutOff() {
    CudaDevice device = open();
    Experts experts = new Experts(device);
    cuda.hangs(true); // busy, for all that is known
    int before = cuda.calls().size();
    experts.multiply(0, 7);
    experts.close();
    assertTrue(cuda.callsSince(before).stream().allMatch("cuStreamQuery"::equals), "busy");
    device.gpu().stream();
    List<String> queued =
        cuda.callsSince(before).stream()
            .filter(call -> call.matches("cuLaunch.*|cuMemFree.*"))
            .toList();
    assertEquals(
        List.of("cuLaunchKernelEx", "cuMemFreeAsync", "cuMemFreeAsync", "cuMemFreeAsync"), queued);
  }

  @Test
  void shouldLaunchWhatIsPutOffWhereTheGpuWouldWait() {
    CudaDevice device = open();
    try (Experts experts = new Experts(device)) {
      int before = cuda.calls().size();
      experts.multiply(0, 1);
      assertTrue(cuda.callsSince(before).contains("cuLaunchKernelEx"), "idle");
      cuda.hangs(true);
      before = cuda.calls().size();
      experts.multiply(1, 40);
      assertFalse(cuda.callsSince(before).contains("cuLaunchKernelEx"), "busy");
    }
  }

  @Test
  void shouldLaunchWeightGradientsTogetherWhereTheyFillTheGpu() {
    CudaDevice device = open();
    // The products, and the sums of what they leave of biases' gradients.
    assertEquals(
        Collections.nCopies(2, "cuLaunchKernelEx"), launchesOfWeightGradients(device, 256 * 8));
    List<String> oneByOne = launchesOfWeightGradients(device, 256);
    assertEquals(2, Collections.frequency(oneByOne, "cublasLtMatmul"), oneByOne.toString());
    cuda.isAmpere();
    List<String> ampere = launchesOfWeightGradients(open(), 256 * 8);
    assertEquals(2, Collections.frequency(ampere, "cublasLtMatmul"), ampere.toString());
  }

  @Test
  void shouldLaunchWeightGradientsBehindWhatExpertsHavePutOff() {
    CudaDevice device = open();
    try (Experts experts = new Experts(device)) {
      cuda.hangs(true); // busy, for all that is known
      experts.multiply(0, 3);
      List<String> launches = launchesOfWeightGradients(device, 256 * 8);
      assertEquals(Collections.nCopies(1 + 2, "cuLaunchKernelEx"), launches);
      int before = cuda.calls().size();
      cuda.hangs(false);
      experts.multiply(0, 3);
      assertTrue(cuda.callsSince(before).contains("cuLaunchKernelEx"), "no other keys to wait for");
      cuda.hangs(true);
      before = cuda.calls().size();
      device.concurrently(0, () -> launchesOfWeightGradients(device, 256 * 8));
      assertFalse(
          cuda.callsSince(before).contains("cuLaunchKernelEx"), "an expert's wait for others");
    }
  }

  /** What is called for two layers of 64 inputs and so many outputs. */
  private List<String> launchesOfWeightGradients(CudaDevice device, int outputs) {
    try (Tensor x = device.allocateActivations(64, 64);
        Tensor dOut = device.allocateActivations(64, outputs);
        Tensor one = device.allocate(64, outputs);
        Tensor other = device.allocate(64, outputs);
        Tensor bias = device.allocate(1, outputs)) {
      int before = cuda.calls().size();
      device
          .kernels()
          .weightGradients(
              List.of(
                  new WeightGradient(one, bias, x, dOut, true),
                  new WeightGradient(other, null, x, dOut, false)));
      return cuda.callsSince(before).stream()
          .filter(call -> call.matches("cuLaunch.*|cublasLtMatmul"))
          .toList();
    }
  }

  @Test
  void shouldWaitForACopyOfAnotherGpuWhereItIsFirstUsed() {
    CudaDevice one = open();
    CudaDevice other = open();
    one.connect(other);
    Tensor rows = one.allocateActivations(64, 64);
    Tensor untouched = other.fetch(rows, one.fence(), false);
    Tensor copy = other.fetch(rows, one.fence(), false);
    int before = cuda.calls().size();
    other.gpu().stream();
    assertEquals(List.of(), cuda.callsSince(before));
    other.kernels().fill(copy, 0);
    assertEquals("cuStreamWaitEvent", cuda.callsSince(before).getFirst());
    before = cuda.calls().size();
    other.kernels().fill(copy, 0);
    copy.close();
    assertFalse(cuda.callsSince(before).contains("cuStreamWaitEvent"), "it is here");
    before = cuda.calls().size();
    untouched.close();
    assertEquals(
        List.of("cuStreamWaitEvent", "cuMemFreeAsync"),
        cuda.callsSince(before).stream().filter(call -> !call.equals("cuCtxSetCurrent")).toList(),
        "freed once it is here, though nobody waited for it");
    one.close();
    other.close();
  }

  @Test
  void shouldHaveProductsThatWaitForACopyWaitTogether() {
    CudaDevice one = open();
    CudaDevice other = open();
    one.connect(other);
    Tensor rows = one.allocateActivations(64, 64);
    try (Experts experts = new Experts(other)) {
      experts.multiply(0, 4);
      other.gpu().stream();
      cuda.hangs(true); // not idle, for one
      int before = cuda.calls().size();
      experts.multiply(0, 1);
      for (int expert = 1; expert < 3; expert++) {
        Tensor copy = other.fetch(rows, null, false);
        other.concurrently(
            expert,
            () -> other.kernels().matmul(experts.out(), copy, false, experts.w(), false, false));
      }
      assertEquals(
          1,
          Collections.frequency(cuda.callsSince(before), "cuLaunchKernelEx"),
          "what waits for nothing is launched when something comes that does");
      cuda.hangs(false);
      before = cuda.calls().size();
      other.gpu().stream();
      assertEquals(
          List.of("cuStreamWaitEvent", "cuStreamWaitEvent", "cuLaunchKernelEx"),
          cuda.callsSince(before).stream()
              .filter(call -> call.matches("cuLaunch.*|cuStreamWait.*"))
              .toList());
    }
  }

  @Test
  void shouldLaunchWhatIsPutOffOnceAllHaveCome() {
    CudaDevice device = open();
    try (Experts experts = new Experts(device)) {
      experts.multiply(0, 3);
      device.gpu().stream();
      cuda.hangs(true); // not idle, for one
      int before = cuda.calls().size();
      experts.multiply(0, 2);
      assertFalse(cuda.callsSince(before).contains("cuLaunchKernelEx"), "two of three");
      experts.multiply(2, 3);
      assertEquals(1, Collections.frequency(cuda.callsSince(before), "cuLaunchKernelEx"));
    }
  }

  @Test
  void shouldFreeWhatIsPutOffWhenMemoryIsUsedUp() {
    CudaDevice device = open();
    Experts experts = new Experts(device);
    cuda.hangs(true); // busy, for all that is known
    experts.multiply(0, 7);
    cuda.hangs(false);
    experts.close();
    int before = cuda.calls().size();
    cuda.fail("cuMemAllocFromPoolAsync", CudaException.OUT_OF_MEMORY);
    assertThrows(UserException.class, () -> device.allocate(1, 1));
    List<String> calls =
        cuda.callsSince(before).stream()
            .filter(call -> call.matches("cuLaunch.*|cuMem(Free|AllocFrom|Pool).*"))
            .distinct()
            .toList();
    assertEquals(
        List.of("cuMemAllocFromPoolAsync", "cuLaunchKernelEx", "cuMemFreeAsync", "cuMemPoolTrimTo"),
        calls);
  }

  @Test
  void shouldSayWhenThereIsNoMemoryToDescribeProductsIn() {
    CudaDevice device = open();
    Experts experts = new Experts(device);
    cuda.hangs(true); // or they would not be put off
    experts.multiply(0, 11);
    cuda.hangs(false);
    experts.close();
    cuda.fail("cuMemAlloc_v2", CudaException.OUT_OF_MEMORY);
    UserException e = assertThrows(UserException.class, () -> device.gpu().stream());
    assertTrue(
        e.getMessage().startsWith("cuda:0: out of memory: 0.00 GiB for descriptions of "),
        e.getMessage());
    device.close();
    assertEquals(List.of(), cuda.open());
  }

  @Test
  void shouldSayWhoWantedHowMuchWhenMemoryIsUsedUp() {
    CudaDevice device = open();
    Tensor held = device.allocate(1 << 14, 1 << 14);
    cuda.fail("cuMemAllocFromPoolAsync", CudaException.OUT_OF_MEMORY);
    UserException e =
        assertThrows(UserException.class, () -> device.allocateActivations(1 << 15, 1 << 15));
    assertTrue(
        e.getMessage().startsWith("cuda:0: out of memory: 2.00 GiB for 32768 x 32768 BF16 of "),
        e.getMessage());
    assertTrue(e.getMessage().endsWith("; 1.00 GiB in use, 1.50 GiB free"), e.getMessage());
    assertTrue(e.hint().contains("train.micro_batches"), e.hint());
    assertTrue(cuda.calls().contains("cuMemPoolTrimTo"));
    held.close();
    assertEquals(0, device.allocatedBytes());
    // What is no tensor, too.
    assertTrue(
        assertThrows(UserException.class, () -> device.memory().allocate(1 << 29))
            .getMessage()
            .startsWith("cuda:0: out of memory: 0.50 GiB for scratch of "));
  }

  @ParameterizedTest
  @ValueSource(ints = {CudaException.OUT_OF_MEMORY, 304, 800, 801})
  void shouldSayWhatWantedHowMuchWhenNoMoreMemoryOfTheHostIsPinned(int code) {
    CudaDevice device = open();
    Tensor tensor = device.allocate(1, 1);
    cuda.fail("cuMemHostAlloc", code);
    UserException read = assertThrows(UserException.class, () -> device.read(tensor));
    assertEquals(
        "cuda:0: out of pinned memory of the host: 4 KiB for a copy that is read back;"
            + " 32768 KiB pinned by this process already (cuMemHostAlloc: code %d (code %d))"
                .formatted(code, code),
        read.getMessage());
    assertTrue(read.hint().contains("TROUPE_HEAP"), read.hint());
    assertTrue(read.hint().contains("ulimit -l"), read.hint());
    UserException opened = assertThrows(UserException.class, this::open);
    assertTrue(
        opened.getMessage().startsWith("cuda:0: out of pinned memory of the host: 16384 KiB for "),
        opened.getMessage());
    cuda.fail("cuMemHostAlloc", 0);
    tensor.close();
    device.close();
    assertEquals(List.of(), cuda.open());
  }

  @Test
  void shouldFreeIndicesWhenALaunchFails() {
    CudaDevice device = open();
    Tensor rows = device.allocateActivations(2, 8);
    Tensor sums = device.allocate(2, 8);
    Tensor losses = device.allocate(2, 1);
    int[] index = {1, 0};
    List<Runnable> kernels =
        List.of(
            () -> device.kernels().embeddingForward(rows, index, sums, sums, 2),
            () -> device.kernels().embeddingBackward(sums, sums, rows, index, 2),
            () -> device.kernels().gatherRows(rows, rows, index),
            () -> device.kernels().scatterAddRows(rows, rows, index),
            () -> device.kernels().combineForward(rows, rows, index, new double[2], null),
            () -> device.kernels().crossEntropy(losses, rows, rows, index, 1));
    cuda.fail("cuLaunchKernelEx", 1);
    for (Runnable kernel : kernels) {
      List<String> before = cuda.open();
      assertThrows(CudaException.class, kernel::run);
      assertEquals(before, cuda.open());
    }
  }

  @Test
  void shouldNotTakeAContextThatIsLostForMemoryThatIsUsedUp() {
    CudaDevice device = open();
    Tensor tensor = device.allocate(1, 1);
    cuda.fail("cuMemHostAlloc", 700);
    assertTrue(assertThrows(DeviceException.class, () -> device.read(tensor)).isLost());
  }

  @Test
  void shouldCloseTensorsOfAContextThatIsLost() {
    CudaDevice device = open();
    Tensor tensor = device.allocate(1, 1);
    cuda.fail("cuMemFreeAsync", 700);
    tensor.close();
    assertEquals(0, device.allocatedBytes());
  }
}
