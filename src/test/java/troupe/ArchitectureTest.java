package troupe;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.implement;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.name;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.cuda.CudaDevices;

/** Think hard about the layers of the project before changing this file. */
class ArchitectureTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("troupe");

  @Test
  void shouldCallDownTheLayersOnly() {
    layeredArchitecture()
        .consideringOnlyDependenciesInLayers()
        .layer("core")
        .definedBy("troupe.core..")
        .layer("transport")
        .definedBy("troupe.transport..")
        .layer("expert-actors")
        .definedBy("troupe.expert..")
        .layer("router-actor")
        .definedBy("troupe.router..")
        .layer("coordinator")
        .definedBy("troupe.coordinator..")
        .whereLayer("core")
        .mayNotAccessAnyLayer()
        .whereLayer("transport")
        .mayNotAccessAnyLayer()
        .whereLayer("expert-actors")
        .mayOnlyAccessLayers("core", "transport")
        .whereLayer("router-actor")
        .mayOnlyAccessLayers("core", "transport", "expert-actors")
        .whereLayer("coordinator")
        .mayNotBeAccessedByAnyLayer()
        .check(CLASSES);
  }

  @Test
  void shouldKeepActorsOutOfMathAndTransport() {
    noClasses()
        .that()
        .resideInAnyPackage(
            "troupe.core..",
            "troupe.transport..",
            "troupe.expert.network..",
            "troupe.router.gate..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("akka..")
        .because("what is computed is tested without actors")
        .check(CLASSES);
  }

  @Test
  void shouldKeepNativeTensorLibrariesBehindTheDeviceInterface() {
    noClasses()
        .that()
        .resideOutsideOfPackage("troupe.core.tensor..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("org.nd4j..", "org.bytedeco..")
        .because("nothing above core.tensor knows which device runs")
        .check(CLASSES);
  }

  @Test
  void shouldKeepVectorsInWhatComputes() {
    noClasses()
        .that()
        .resideOutsideOfPackages(
            "troupe.core.tensor..",
            "troupe.core.math..",
            "troupe.core.random..",
            "troupe.router.gate..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("jdk.incubator.vector..")
        .because("loops on lanes are for devices, gates and their draws")
        .check(CLASSES);
  }

  @Test
  void shouldKeepAeronInsideTransport() {
    noClasses()
        .that()
        .resideOutsideOfPackage("troupe.transport..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.aeron..")
        .because("the wire may change")
        .check(CLASSES);
  }

  @Test
  void shouldPrintOnlyFromTheCommandLine() {
    noClasses()
        .that()
        .resideOutsideOfPackage("troupe.coordinator.cli..")
        .should()
        .accessField(System.class, "out")
        .orShould()
        .accessField(System.class, "err")
        .because("everything else logs")
        .check(CLASSES);
  }

  @Test
  void shouldHaveNoCyclesBetweenPackages() {
    slices()
        .matching("troupe.(**)")
        .should()
        .beFreeOfCycles()
        // The one place that knows the names of devices makes them, too.
        .ignoreDependency(
            name(Devices.class.getName()),
            implement(Device.class).or(name(CudaDevices.class.getName())))
        .check(CLASSES);
  }

  @Test
  void shouldLookAtEveryModule() {
    for (String module : new String[] {"core", "transport", "expert", "router", "coordinator"}) {
      classes()
          .that()
          .resideInAPackage("troupe." + module + "..")
          .should()
          .haveNameMatching("troupe\\..*")
          .allowEmptyShould(false)
          .check(CLASSES);
    }
  }
}
