package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import troupe.core.tensor.Staged;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.FakeCuda;

/** Copies to and from other processes, which nobody waits for; without a GPU. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class StagedCopiesTest {
  private static final int COLUMNS = 64;
  private static final long BYTES = COLUMNS * Float.BYTES;
  private static final long PAGE = 4096;
  private static final String ALLOCATED = "cuMemAllocFromPoolAsync";

  private final FakeCuda cuda = new FakeCuda();
  private final CudaDevice device = FakeDevice.on(cuda);
  private final long toHost = device.gpu().toHostStream();
  private final long fromHost = device.gpu().fromHostStream();

  private long allocated() {
    return cuda.open().stream().filter(ALLOCATED::equals).count();
  }

  private Staged copyOut(boolean last) {
    return device.copyOut(device.allocate(1, COLUMNS), device.fence(), last);
  }

  private Tensor copyIn(Staged from) {
    return device.copyIn(1, COLUMNS, false, from);
  }

  @Test
  void shouldBeginToCopyOutBehindAFenceAndWaitForNothing() {
    cuda.hangsIn(toHost);
    Tensor tensor = device.allocate(1, COLUMNS);
    copyOut(false).close();
    int before = cuda.calls().size();
    Staged staged = device.copyOut(tensor, device.fence(), false);
    assertEquals(
        List.of(
            "cuEventCreate",
            "cuEventRecord",
            "cuEventQuery",
            "cuStreamWaitEvent",
            "cuMemcpyDtoHAsync_v2",
            "cuEventCreate",
            "cuEventRecord"),
        cuda.callsSince(before));
    assertFalse(staged.isDone());
    cuda.goesOnIn(toHost);
    assertTrue(staged.isDone());
    assertEquals(cuda.copiedOut().getLast().address(), staged.bytes().address());
    assertEquals(BYTES, staged.bytes().byteSize());
  }

  @Test
  void shouldNotLendMemoryThatACopyOutStillWrites() {
    cuda.hangsIn(toHost);
    copyOut(true).close();
    copyOut(true).close();
    assertNotEquals(cuda.copiedOut().getFirst().address(), cuda.copiedOut().getLast().address());
    cuda.goesOnIn(toHost);
    copyOut(true);
    assertEquals(cuda.copiedOut().getFirst().address(), cuda.copiedOut().getLast().address());
  }

  @Test
  void shouldLendMemoryAgainOnceItIsSent() {
    for (int i = 0; i < 3; i++) {
      Staged staged = copyOut(true);
      staged.bytes();
      staged.close();
      staged.close();
    }
    assertEquals(
        1, cuda.copiedOut().stream().mapToLong(to -> to.address()).distinct().count(), "places");
  }

  @Test
  void shouldFreeWhatIsNotNeededOnceItIsCopied() {
    Staged staged = copyOut(true);
    assertEquals(0, allocated(), "freed behind the copy");
    assertEquals(0, device.allocatedBytes());
    staged.close();
  }

  @Test
  void shouldFreeWhatIsLentBehindTheCopy() {
    Tensor lent = device.allocate(1, COLUMNS);
    device.copyOut(lent.rows(0, 1), device.fence(), false);
    int before = cuda.calls().size();
    lent.close();
    assertEquals(List.of("cuStreamWaitEvent", "cuMemFreeAsync"), cuda.callsSince(before));
  }

  @Test
  void shouldCopyInWithoutWaiting() {
    cuda.hangsIn(fromHost);
    Staged come = device.receive(BYTES);
    assertEquals(BYTES, come.bytes().byteSize());
    Tensor tensor = copyIn(come);
    assertEquals(come.bytes().address(), cuda.copied().getLast().address());
    int before = cuda.calls().size();
    device.launcher().launch("gelu", Grid.line(1, 32), Operands.in(tensor));
    assertEquals(
        List.of("cuStreamWaitEvent"), cuda.callsSince(before).subList(0, 1), "for the copy");
    before = cuda.calls().size();
    device.launcher().launch("gelu", Grid.line(1, 32), Operands.in(tensor));
    assertFalse(cuda.callsSince(before).contains("cuStreamWaitEvent"), "once is enough");
  }

  @Test
  void shouldNotLendMemoryThatACopyInStillReads() {
    cuda.hangsIn(fromHost);
    Staged first = device.receive(BYTES);
    copyIn(first).close();
    Staged second = device.receive(BYTES);
    assertNotEquals(first.bytes().address(), second.bytes().address());
    cuda.goesOnIn(fromHost);
    Staged third = device.receive(BYTES);
    assertEquals(first.bytes().address(), third.bytes().address());
    // What nobody has copied is free at once.
    second.close();
    cuda.hangsIn(fromHost);
    assertEquals(second.bytes().address(), device.receive(BYTES).bytes().address());
    assertEquals(0, allocated());
  }

  @Test
  void shouldDoWithoutRows() {
    try (Staged staged = device.copyOut(device.allocate(0, COLUMNS), device.fence(), true)) {
      assertTrue(staged.isDone());
      assertEquals(0, staged.bytes().byteSize());
    }
    cuda.hangsIn(fromHost);
    int before = cuda.calls().size();
    Staged come = device.receive(0);
    assertEquals(0, come.bytes().byteSize());
    device.copyIn(0, COLUMNS, true, come).close();
    assertFalse(cuda.callsSince(before).contains("cuEventQuery"), "no wait");
    assertEquals(List.of(), cuda.copied());
    assertEquals(List.of(), cuda.copiedOut());
  }

  @Test
  void shouldGoThroughOrdinaryMemoryWhereNoneIsPinned() {
    cuda.fail("cuMemHostAlloc", CudaException.OUT_OF_MEMORY);
    Tensor tensor = device.allocate(1, COLUMNS);
    Staged staged = device.copyOut(tensor, device.fence(), true);
    assertTrue(staged.isDone(), "nothing is under way");
    assertEquals(BYTES, staged.bytes().byteSize());
    assertNotEquals(cuda.copiedOut().getLast().address(), staged.bytes().address());
    staged.close();
    tensor.close();
    Staged come = device.receive(BYTES);
    copyIn(come).close();
    assertNotEquals(come.bytes().address(), cuda.copied().getLast().address());
    assertEquals(0, allocated());
    int before = cuda.calls().size();
    copyOut(false).bytes();
    device.receive(BYTES);
    assertFalse(cuda.callsSince(before).contains("cuMemHostAlloc"), "asked once each way");
  }

  @Test
  void shouldRefuseATensorThatIsClosedAndLoseNoMemory() {
    Tensor tensor = device.allocate(1, COLUMNS);
    Tensor lent = tensor.rows(0, 1);
    tensor.close();
    assertThrows(IllegalStateException.class, () -> device.copyOut(lent, null, false));
    for (int i = 0; i < 2; i++) {
      copyOut(true).bytes();
    }
    assertEquals(
        PAGE, cuda.copiedOut().getLast().address() - cuda.copiedOut().getFirst().address());
  }

  @Test
  void shouldPassOnThatTheGpuIsLost() {
    cuda.fail("cuMemHostAlloc", 700);
    assertTrue(assertThrows(CudaException.class, () -> copyOut(false)).isLost());
    assertTrue(assertThrows(CudaException.class, () -> device.receive(BYTES)).isLost());
  }

  @Test
  void shouldRefuseMemoryOfADeviceThatIsClosed() {
    Staged come = device.receive(BYTES);
    device.close();
    assertThrows(IllegalStateException.class, () -> come.bytes().fill((byte) 1));
    come.close();
    assertEquals(List.of(), cuda.open());
  }
}
