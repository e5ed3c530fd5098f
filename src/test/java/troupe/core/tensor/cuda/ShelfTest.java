package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import troupe.core.tensor.Device.PickedUp;
import troupe.core.tensor.Staged;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.FakeCuda;

/** Copies from GPU to GPU of two processes, which nobody waits for; without a GPU. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ShelfTest {
  private static final int COLUMNS = 64;
  private static final long BYTES = COLUMNS * Float.BYTES;
  private static final int LENDER = 7;
  private static final int NOT_SUPPORTED = 801;
  private static final int LOST = 700;
  private static final int NO_PEER = 217;
  private static final String OPENED = "cuIpcOpenMemHandle_v2";
  private static final String CLOSED = "cuIpcCloseMemHandle";
  private static final String SHARED = "cuIpcGetMemHandle";
  private static final String ALLOCATED = "cuMemAllocFromPoolAsync";

  @TempDir private Path folder;

  private final FakeCuda cuda = new FakeCuda();
  private final CudaDevice device = device();
  private final long leaving = device.gpu().toHostStream();
  private final long coming = device.gpu().fromHostStream();

  private CudaDevice device() {
    return FakeDevice.on(cuda);
  }

  private long count(String function) {
    return cuda.calls().stream().filter(function::equals).count();
  }

  private long open(String function) {
    return cuda.open().stream().filter(function::equals).count();
  }

  private Staged shelve(boolean last) {
    return device.shelve(device.allocate(1, COLUMNS), device.fence(), last);
  }

  private byte[] reference() {
    return shelve(true).reference();
  }

  private PickedUp pickUp(byte[] reference) {
    return device.pickUp(LENDER, reference, 1, COLUMNS, false);
  }

  @Test
  void shouldCopyToTheShelfBehindAFenceAndWaitForNothing() {
    shelve(true).close();
    cuda.hangsIn(leaving);
    Tensor tensor = device.allocate(1, COLUMNS);
    int before = cuda.calls().size();
    Staged laid = device.shelve(tensor, device.fence(), false);
    assertEquals(
        List.of(
            "cuEventCreate",
            "cuEventRecord",
            "cuEventQuery",
            "cuStreamWaitEvent",
            "cuMemcpyDtoDAsync_v2",
            "cuEventCreate",
            "cuEventRecord"),
        cuda.callsSince(before));
    assertFalse(laid.isDone());
    cuda.goesOnIn(leaving);
    assertTrue(laid.isDone());
    FakeCuda.Copy copy = cuda.copiedWithin().getLast();
    assertEquals(BYTES, copy.bytes());
    assertEquals(leaving, copy.stream());
    ShelfPlace place = ShelfPlace.of(laid.reference());
    // The fake's name of memory is where it is.
    long part = place.handle().order(ByteOrder.nativeOrder()).getLong(0);
    assertEquals(copy.to(), part + place.offset());
  }

  @Test
  void shouldUseAPlaceAgainOnceItIsGivenBackAndWritten() {
    cuda.hangsIn(leaving);
    shelve(true).close();
    shelve(true);
    cuda.goesOnIn(leaving);
    Staged third = shelve(true);
    assertTrue(third.isDone());
    third.close();
    third.close();
    Staged fourth = shelve(true);
    List<Long> places = cuda.copiedWithin().stream().map(FakeCuda.Copy::to).toList();
    assertNotEquals(places.get(0), places.get(1), "still written");
    assertEquals(places.get(0), places.get(2));
    assertEquals(places.get(2), places.get(3));
    assertEquals(1, count(SHARED));
    fourth.close();
  }

  @Test
  void shouldFreeWhatIsNotNeededOnceItIsCopied() {
    shelve(true);
    assertEquals(0, open(ALLOCATED), "freed behind the copy");
    Tensor lent = device.allocate(1, COLUMNS);
    device.shelve(lent.rows(0, 1), device.fence(), false);
    int before = cuda.calls().size();
    lent.close();
    assertEquals(List.of("cuStreamWaitEvent", "cuMemFreeAsync"), cuda.callsSince(before));
  }

  @Test
  void shouldHaveNoRoomForMoreThanItsBound() {
    Tensor large = device.allocate(1 << 16, 1 << 13);
    assertNull(device.shelve(large, device.fence(), false), "2 GiB");
    large.close();
    Tensor half = device.allocate(1 << 14, 1 << 13);
    Staged first = device.shelve(half, device.fence(), false);
    Staged second = device.shelve(half, device.fence(), false);
    assertNull(device.shelve(half, device.fence(), false));
    first.close();
    device.shelve(half, device.fence(), false).close();
    second.close();
    assertNull(device.shelve(device.allocate(0, COLUMNS), device.fence(), true), "no rows");
  }

  @Test
  void shouldHaveOthersWaitForWhatIsNotThereYet() {
    device.signalIn(folder);
    cuda.hangsIn(leaving);
    Staged laid = shelve(true);
    assertTrue(laid.tellsWhenDone());
    assertFalse(laid.isDone());
    int number = ShelfPlace.of(laid.reference()).signal().number();
    PickedUp rows = pickUp(laid.reference());
    assertEquals(new FakeCuda.Wait(coming, number), cuda.waited().getLast());
    assertEquals(coming, cuda.copiedWithin().getLast().stream(), "behind the wait");
    assertFalse(rows.over().getAsBoolean());
    cuda.goesOnIn(leaving);
    assertFalse(rows.over().getAsBoolean(), "the fake says nothing later: as one that was killed");
    rows.abandon().run();
    rows.abandon().run();
    assertTrue(rows.over().getAsBoolean());
    rows.tensor().close();
    PickedUp next = pickUp(shelve(true).reference());
    assertTrue(next.over().getAsBoolean(), "its signal was given");
    assertEquals(1, open(OPENED));
    assertEquals(2, open("cuMemHostRegister_v2"), "its own, and the lender's");
    device.forget(LENDER);
    assertEquals(1, open("cuMemHostRegister_v2"));
  }

  @Test
  void shouldAskNoDriverWhileASignalIsNotGiven() {
    device.signalIn(folder);
    cuda.hangsIn(leaving);
    PickedUp rows = pickUp(shelve(true).reference());
    int before = cuda.calls().size();
    assertFalse(rows.over().getAsBoolean());
    assertEquals(List.of(), cuda.callsSince(before));
    rows.abandon().run();
    assertEquals(List.of(), cuda.callsSince(before), "it may be the driver that waits");
  }

  @Test
  void shouldNameNoSignalOfWhatIsThere() {
    device.signalIn(folder);
    Staged laid = shelve(true);
    assertTrue(laid.isDone());
    assertNull(ShelfPlace.of(laid.reference()).signal());
  }

  @Test
  void shouldTellOfMuchOnlyWhenItIsThere() {
    device.signalIn(folder);
    Staged half = device.shelve(device.allocate(1 << 14, 1 << 13), device.fence(), true);
    assertTrue(half.tellsWhenDone());
    Staged more = shelve(true);
    assertFalse(more.tellsWhenDone(), "hosts had better not go on as if there were room for ever");
    half.close();
    more.close();
    shelve(true).close();
    assertTrue(shelve(true).tellsWhenDone());
  }

  @Test
  void shouldDoWithoutSignalsWhereThereAreNone() {
    cuda.fail("cuStreamWaitValue32_v2", NOT_SUPPORTED);
    device.signalIn(folder);
    assertFalse(shelve(true).tellsWhenDone());
    cuda.fail("cuStreamWaitValue32_v2", 0);
    cuda.fail("cuMemHostRegister_v2", NOT_SUPPORTED);
    device.signalIn(folder);
    device.signalIn(folder.resolve("none"));
    assertFalse(shelve(true).tellsWhenDone());
    PickedUp rows = pickUp(reference());
    assertTrue(rows.over().getAsBoolean());
    rows.tensor().close();
    device.close();
    assertEquals(List.of(), cuda.open());
  }

  @Test
  void shouldOpenNoFilesThatHaveNoSignals() {
    ShelfPlace place = ShelfPlace.of(reference());
    ShelfPlace.Signal signal = new ShelfPlace.Signal(folder.resolve("passwords").toString(), 1);
    byte[] wrong = new ShelfPlace(place.handle(), place.length(), place.offset(), signal).bytes();
    assertThrows(IllegalArgumentException.class, () -> pickUp(wrong));
    signal = new ShelfPlace.Signal(folder.resolve("signals-1").toString(), 1);
    byte[] gone = new ShelfPlace(place.handle(), place.length(), place.offset(), signal).bytes();
    assertNull(pickUp(gone), "its process has ended");
  }

  @Test
  void shouldNotWaitForWhatItCannotCopy() {
    device.signalIn(folder);
    byte[] reference = reference();
    cuda.hangsIn(leaving);
    byte[] late = reference();
    pickUp(reference).tensor().close();
    cuda.fail("cuMemcpyDtoDAsync_v2", NO_PEER);
    assertNull(pickUp(late));
    assertEquals(0, open(OPENED));
    assertEquals(1, open("cuMemHostRegister_v2"));
  }

  @Test
  void shouldDoWithoutWhereMemoryCannotBeShared() {
    cuda.fail(SHARED, NOT_SUPPORTED);
    assertNull(shelve(false));
    assertEquals(0, open("cuMemAlloc_v2"));
    cuda.fail(SHARED, 0);
    assertNull(shelve(false), "asked once");
    assertEquals(1, count(SHARED));
  }

  @Test
  void shouldDoWithoutWhereThereIsNoMemory() {
    cuda.fail("cuMemAlloc_v2", CudaException.OUT_OF_MEMORY);
    assertNull(shelve(false));
  }

  @Test
  void shouldPassOnThatTheGpuIsLost() {
    cuda.fail(SHARED, LOST);
    assertTrue(assertThrows(CudaException.class, () -> shelve(false)).isLost());
    cuda.fail(SHARED, 0);
    byte[] reference = reference();
    cuda.fail(OPENED, LOST);
    assertTrue(assertThrows(CudaException.class, () -> pickUp(reference)).isLost());
  }

  @Test
  void shouldBringWhatIsOutOfReachToTheHost() {
    Staged laid = shelve(true);
    long place = cuda.copiedWithin().getLast().to();
    assertEquals(BYTES, laid.bytes().byteSize());
    assertEquals(BYTES, cuda.copiedOut().getLast().byteSize());
    assertEquals(laid.bytes().address(), laid.bytes().address(), "once");
    laid.close();
    shelve(true);
    assertEquals(place, cuda.copiedWithin().getLast().to());
  }

  @Test
  void shouldPickUpWithoutWaiting() {
    byte[] first = reference();
    byte[] second = reference();
    cuda.hangsIn(coming);
    PickedUp rows = pickUp(first);
    FakeCuda.Copy copy = cuda.copiedWithin().getLast();
    assertEquals(coming, copy.stream());
    assertEquals(BYTES, copy.bytes());
    assertFalse(rows.over().getAsBoolean());
    int before = cuda.calls().size();
    device.launcher().launch("gelu", Grid.line(1, 32), Operands.in(rows.tensor()));
    assertEquals(
        List.of("cuStreamWaitEvent"), cuda.callsSince(before).subList(0, 1), "for the copy");
    pickUp(second);
    assertEquals(1, open(OPENED), "opened once");
    long distance = ShelfPlace.of(second).offset() - ShelfPlace.of(first).offset();
    assertEquals(copy.from() + distance, cuda.copiedWithin().getLast().from());
    cuda.goesOnIn(coming);
    assertTrue(rows.over().getAsBoolean());
    rows.tensor().close();
    assertTrue(rows.over().getAsBoolean());
  }

  @Test
  void shouldSayWhatItCannotReachAndNotTryForEver() {
    byte[] reference = reference();
    cuda.fail(OPENED, NOT_SUPPORTED);
    assertNull(pickUp(reference));
    assertNull(pickUp(reference));
    assertEquals(1, count(OPENED));
    assertEquals(0, open(ALLOCATED));
    cuda.fail(OPENED, 0);
    device.forget(LENDER);
    assertTrue(pickUp(reference).over().getAsBoolean());
  }

  @Test
  void shouldSayThatItCannotReachWhatItCanOpenButNotCopy() {
    byte[] reference = reference();
    pickUp(reference).tensor().close();
    cuda.fail("cuMemcpyDtoDAsync_v2", NO_PEER);
    assertNull(pickUp(reference));
    assertEquals(0, open(ALLOCATED));
    assertEquals(0, device.allocatedBytes());
    assertEquals(1, count(CLOSED));
    cuda.fail("cuMemcpyDtoDAsync_v2", 0);
    assertNull(pickUp(reference), "asked once");
    assertEquals(1, count(OPENED));
  }

  @Test
  void shouldCloseWhatAForgottenProcessLentOnceNoCopyReadsIt() {
    byte[] reference = reference();
    cuda.hangsIn(coming);
    pickUp(reference).tensor().close();
    device.forget(LENDER + 1);
    device.forget(LENDER);
    assertEquals(0, count(CLOSED), "it would wait for the copy");
    cuda.goesOnIn(coming);
    device.forget(LENDER + 1);
    assertEquals(1, count(CLOSED));
    assertEquals(0, open(OPENED));
    pickUp(reference);
    assertEquals(1, open(OPENED));
  }

  @Test
  void shouldRefuseWhatDoesNotFitThere() {
    ShelfPlace place = ShelfPlace.of(reference());
    assertThrows(IllegalArgumentException.class, () -> pickUp(new byte[3]));
    for (long offset :
        new long[] {-1, Long.MIN_VALUE, place.length(), place.length() - BYTES + 1}) {
      byte[] wrong = new ShelfPlace(place.handle(), place.length(), offset, null).bytes();
      assertThrows(IllegalArgumentException.class, () -> pickUp(wrong), "offset " + offset);
    }
    assertEquals(0, count(OPENED));
    pickUp(new ShelfPlace(place.handle(), place.length(), place.length() - BYTES, null).bytes());
  }

  @Test
  void shouldLeaveNothingOpen() {
    device.signalIn(folder);
    pickUp(reference()).tensor().close();
    cuda.hangsIn(coming);
    byte[] other = reference();
    device.pickUp(LENDER + 1, other, 1, COLUMNS, false).tensor().close();
    device.forget(LENDER + 1);
    cuda.goesOnIn(coming);
    device.close();
    assertEquals(List.of(), cuda.open());
  }
}
