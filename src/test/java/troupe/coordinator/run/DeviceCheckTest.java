package troupe.coordinator.run;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.check.KernelCheck;
import troupe.router.trunk.RoutingCheck;

class DeviceCheckTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("troupe.core", "troupe.coordinator");

  @Test
  void shouldCompareEveryKernelWhereTheHostRoutes() {
    try (Device device = Devices.open("cpu")) {
      int cases = DeviceCheck.begin().all(device);
      assertEquals(KernelCheck.begin().all(device), cases);
      assertTrue(cases > 100);
    }
  }

  @Test
  void shouldBeHowEverybodyChecksADevice() {
    // Whoever checks kernels, the doctor say, checks gates, too.
    noClasses()
        .that()
        .doNotHaveFullyQualifiedName(DeviceCheck.class.getName())
        .should()
        .callMethod(KernelCheck.class, "begin")
        .orShould()
        .callMethod(RoutingCheck.class, "begin")
        .check(CLASSES);
  }

  @Test
  void shouldBeDoneBeforeAnySteps() {
    // Whoever opens the devices of a config, a benchmark of whole steps say, has them checked.
    noClasses()
        .that()
        .doNotHaveFullyQualifiedName(ModelDevice.class.getName())
        .should()
        .callMethod(Devices.class, "openAll", String.class, String.class, Duration.class)
        .check(CLASSES);
  }
}
