package troupe.core.tensor.check;

import java.util.ArrayList;
import java.util.List;

/** Cases, in the order in which they were added. */
final class CaseTable {
  private final List<KernelCase> cases = new ArrayList<>();

  void add(String name, KernelCase.Body body) {
    cases.add(new KernelCase(name, body));
  }

  List<KernelCase> cases() {
    return cases;
  }
}
