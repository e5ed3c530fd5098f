package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.tensor.cuda.driver.FakeCuda;

/** Work of one thread beside the main stream, while another asks for what comes after it. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class LanesTest {
  private final FakeCuda cuda = new FakeCuda();

  private CudaDevice open(boolean hopper) {
    if (!hopper) {
      cuda.isAmpere();
    }
    return FakeDevice.on(cuda);
  }

  private static void launch(CudaDevice device) {
    device.launcher().launch("gelu", Grid.line(1, 32));
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Has a thread be in a lane, about to queue a kernel there, and returns what lets it go on. */
  private CountDownLatch holdALaunch() {
    CountDownLatch room = new CountDownLatch(1);
    cuda.hold("cuLaunchKernelEx", room);
    return room;
  }

  private void awaitCall(String function, int before) {
    while (!cuda.callsSince(before).contains(function)) {
      Thread.onSpinWait();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldWaitForAKernelThoughTheLaneWasJoinedWhenItWasAboutToBeQueued(boolean hopper)
      throws InterruptedException {
    CudaDevice device = open(hopper);
    CountDownLatch room = holdALaunch();
    CountDownLatch launched = new CountDownLatch(1);
    CountDownLatch asked = new CountDownLatch(1);
    int opened = cuda.calls().size();
    Thread expert =
        Thread.ofPlatform()
            .daemon()
            .start(
                () ->
                    device.concurrently(
                        0,
                        () -> {
                          launch(device);
                          launched.countDown();
                          await(asked);
                        }));
    awaitCall("cuLaunchKernelEx", opened);
    // The lane is joined as it is: without the kernel.
    device.gpu().stream();
    room.countDown();
    await(launched);
    int before = cuda.calls().size();
    device.gpu().stream();
    assertEquals(
        List.of("cuEventRecord", "cuStreamWaitEvent"),
        cuda.callsSince(before),
        "the lane's end, which the main stream waits for");
    asked.countDown();
    expert.join();
    device.close();
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldKeepTheOrderOfALaneWhenKernelsAreTimedMeanwhile(boolean hopper)
      throws InterruptedException {
    CudaDevice device = open(hopper);
    CountDownLatch room = holdALaunch();
    CountDownLatch launched = new CountDownLatch(1);
    CountDownLatch timed = new CountDownLatch(1);
    CountDownLatch launchedAgain = new CountDownLatch(1);
    CountDownLatch untimed = new CountDownLatch(1);
    int opened = cuda.calls().size();
    Thread expert =
        Thread.ofPlatform()
            .daemon()
            .start(
                () ->
                    device.concurrently(
                        0,
                        () -> {
                          launch(device);
                          launched.countDown();
                          await(timed);
                          launch(device);
                          launchedAgain.countDown();
                          await(untimed);
                          launch(device);
                        }));
    awaitCall("cuLaunchKernelEx", opened);
    device.profiler().begin();
    room.countDown();
    await(launched);
    int before = cuda.calls().size();
    timed.countDown();
    await(launchedAgain);
    assertTrue(cuda.callsSince(before).contains("cuStreamWaitEvent"), "main behind the lane");
    device.profiler().end();
    before = cuda.calls().size();
    untimed.countDown();
    expert.join();
    assertTrue(cuda.callsSince(before).contains("cuStreamWaitEvent"), "the lane behind main");
    device.close();
  }
}
