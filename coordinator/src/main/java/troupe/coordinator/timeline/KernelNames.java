package troupe.coordinator.timeline;

/** Names of kernels as people can read them in a table. */
public final class KernelNames {
  private static final int MOST = 60;
  private static final String MANGLED = "_Z";

  private KernelNames() {}

  /**
   * A name without its template arguments, 60 characters at most. Of one that a C++ compiler has
   * mangled, the names of its scopes and its own are kept: {@code _ZN7cutlass7Kernel2I...} is
   * {@code cutlass::Kernel2}.
   */
  public static String shorten(String name) {
    String plain = name.startsWith(MANGLED) ? unmangled(name) : name;
    int template = plain.indexOf('<');
    String shorter = template > 0 ? plain.substring(0, template) : plain;
    return shorter.length() > MOST ? shorter.substring(0, MOST) : shorter;
  }

  /** Names follow their lengths in decimal; {@code N} starts several of them (Itanium C++ ABI). */
  private static String unmangled(String name) {
    StringBuilder scopes = new StringBuilder();
    int at = MANGLED.length();
    boolean nested = name.startsWith("N", at);
    if (nested) {
      at++;
    }
    do {
      int digits = at;
      while (digits < name.length() && Character.isDigit(name.charAt(digits))) {
        digits++;
      }
      if (digits == at || digits - at > 3) {
        break;
      }
      int end = digits + Integer.parseInt(name.substring(at, digits));
      if (end > name.length()) {
        break;
      }
      scopes.append(scopes.isEmpty() ? "" : "::").append(name, digits, end);
      at = end;
    } while (nested);
    return scopes.isEmpty() ? name : scopes.toString();
  }
}
