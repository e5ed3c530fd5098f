package troupe.expert;

import troupe.core.tensor.DeviceException;

/** A device that computes nothing any more. */
public final class Lost extends DeviceException {
  private static final long serialVersionUID = 1;

  public Lost() {
    super("fake:0: it hangs\nHINT: another one");
  }

  @Override
  public boolean isLost() {
    return true;
  }
}
