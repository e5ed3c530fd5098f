package troupe.core.tensor.cuda.driver;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import troupe.core.UserException;

/**
 * Finds NVIDIA's libraries, in this order: folders that {@code cuda.lib} names, {@code
 * LD_LIBRARY_PATH}, a CUDA toolkit, the packages that pip installs for Python, wherever else the
 * system looks. CUDA 13 is preferred to 12, unless the driver is of 12; what is in the folders of
 * {@code cuda.lib} is preferred to either elsewhere.
 */
public final class CudaLibraries {
  /** A library that a cuda device needs, or can use. */
  public enum Library {
    /** Comes with the driver of the GPU. */
    DRIVER(
        "libcuda.so",
        List.of("1"),
        "the NVIDIA driver (Debian: nvidia-driver; nvidia-smi has to work)"),
    /** Compiles kernels. */
    NVRTC(
        "libnvrtc.so",
        List.of("13", "12"),
        "pip install nvidia-cuda-nvrtc (nvidia-cuda-nvrtc-cu12 for CUDA 12), or a CUDA toolkit"),
    /** Matrix products. */
    CUBLAS_LT(
        "libcublasLt.so",
        List.of("13", "12"),
        "pip install nvidia-cublas (nvidia-cublas-cu12 for CUDA 12), or a CUDA toolkit"),
    /** Records what GPUs do; nothing but a profile needs it. */
    CUPTI("libcupti.so", List.of("13", "12"), "pip install nvidia-cuda-cupti, or a CUDA toolkit");

    private final String file;
    private final List<String> versions;
    private final String howToGet;

    Library(String file, List<String> versions, String howToGet) {
      this.file = file;
      this.versions = versions;
      this.howToGet = howToGet;
    }

    /** What it is called, without version. */
    public String file() {
      return file;
    }

    /** How a user gets it. */
    public String howToGet() {
      return howToGet;
    }
  }

  private final List<Path> named;
  private final List<Path> folders;
  private final Map<Library, Path> found = new LinkedHashMap<>();
  private final Map<Library, NativeLibrary> loaded = new LinkedHashMap<>();

  /** The newest major version that the driver knows; every one until it was asked. */
  private int driverMajor = Integer.MAX_VALUE;

  /** Of a process there is one. */
  private Cupti activities;

  /**
   * Libraries for this machine; none is loaded yet.
   *
   * @param extra folders to look in first, separated by colons; may be empty
   */
  public CudaLibraries(String extra) {
    this.named = split(extra);
    this.folders = List.copyOf(folders(System.getenv()));
  }

  private static Set<Path> folders(Map<String, String> environment) {
    Set<Path> folders = new LinkedHashSet<>(split(environment.getOrDefault("LD_LIBRARY_PATH", "")));
    List<Path> toolkits = new ArrayList<>();
    for (String variable : List.of("CUDA_HOME", "CUDA_PATH")) {
      if (environment.get(variable) != null) {
        toolkits.add(Path.of(environment.get(variable)));
      }
    }
    toolkits.addAll(matching(Path.of("/usr/local"), "cuda*"));
    toolkits.addAll(matching(Path.of("/opt"), "cuda*"));
    for (Path toolkit : toolkits) {
      folders.add(toolkit.resolve("lib64"));
      folders.add(toolkit.resolve("targets/x86_64-linux/lib"));
      folders.add(toolkit.resolve("extras/CUPTI/lib64"));
    }
    for (Path packages : pythonPackages(environment)) {
      for (Path nvidia : matching(packages.resolve("nvidia"), "*")) {
        folders.add(nvidia.resolve("lib"));
      }
    }
    return folders;
  }

  private static List<Path> split(String path) {
    return Arrays.stream(path.split(":"))
        .filter(folder -> !folder.isBlank())
        .map(Path::of)
        .toList();
  }

  /**
   * Where the Pythons of this machine keep packages: the active environment, the path, the user.
   */
  private static List<Path> pythonPackages(Map<String, String> environment) {
    Set<Path> prefixes = new LinkedHashSet<>();
    for (String variable : List.of("VIRTUAL_ENV", "CONDA_PREFIX")) {
      if (environment.get(variable) != null) {
        prefixes.add(Path.of(environment.get(variable)));
      }
    }
    for (String folder : environment.getOrDefault("PATH", "").split(":")) {
      Path python = Path.of(folder, "python3");
      if (Files.isExecutable(python)) {
        prefixes.add(python.getParent().resolveSibling(""));
        try {
          // Of an environment, whose python3 is a link into it or out of it.
          prefixes.add(python.toRealPath().getParent().getParent());
        } catch (IOException e) {
          continue;
        }
      }
    }
    if (environment.get("HOME") != null) {
      prefixes.add(Path.of(environment.get("HOME"), ".local"));
    }
    List<Path> packages = new ArrayList<>();
    for (Path prefix : prefixes) {
      for (Path python : matching(prefix.resolve("lib"), "python3*")) {
        packages.add(python.resolve("site-packages"));
        packages.add(python.resolve("dist-packages"));
      }
    }
    return packages;
  }

  private static List<Path> matching(Path folder, String pattern) {
    List<Path> matching = new ArrayList<>();
    if (Files.isDirectory(folder)) {
      try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, pattern)) {
        entries.forEach(matching::add);
      } catch (IOException e) {
        return List.of();
      }
    }
    // The newest version first.
    matching.sort((a, b) -> b.compareTo(a));
    return matching;
  }

  /**
   * Loads a library, once.
   *
   * @throws UserException saying where it was looked for and how to get it
   */
  NativeLibrary load(Library library) {
    NativeLibrary known = loaded.get(library);
    if (known != null) {
      return known;
    }
    for (Path candidate : candidates(library)) {
      try {
        if (library == Library.NVRTC && candidate.isAbsolute()) {
          loadBuiltins(candidate.getParent());
        }
        NativeLibrary native_ = NativeLibrary.load(candidate);
        loaded.put(library, native_);
        found.put(library, candidate);
        return native_;
      } catch (IllegalArgumentException e) {
        continue;
      }
    }
    throw new UserException(
        "device cuda: "
            + library.file
            + " not found (expected: version "
            + String.join(" or ", wanted(library))
            + ")",
        library.howToGet + "; cuda.lib=FOLDER if it is somewhere else");
  }

  /**
   * The compiler opens its own headers by bare name when it compiles. The system does not look into
   * folders that only we know, but takes what is loaded already.
   */
  private static void loadBuiltins(Path folder) {
    for (Path builtins : matching(folder, "libnvrtc-builtins.so*")) {
      try {
        NativeLibrary.load(builtins);
      } catch (IllegalArgumentException e) {
        continue;
      }
    }
  }

  /** A driver runs libraries of its own major version and older ones. */
  private List<String> versions(Library library) {
    return library == Library.DRIVER
        ? library.versions
        : library.versions.stream()
            .filter(version -> Integer.parseInt(version) <= driverMajor)
            .toList();
  }

  /** What there should be; a driver that serves none of it is another mistake. */
  private List<String> wanted(Library library) {
    List<String> served = versions(library);
    return served.isEmpty() ? library.versions : served;
  }

  /** Where a library may be, best first: a bare name stands for where the system looks. */
  List<Path> candidates(Library library) {
    List<String> names =
        versions(library).stream().map(version -> library.file + "." + version).toList();
    List<Path> candidates = new ArrayList<>();
    names.forEach(name -> addAll(candidates, named, name));
    for (String name : names) {
      addAll(candidates, folders, name);
      candidates.add(Path.of(name));
    }
    return candidates;
  }

  private static void addAll(List<Path> candidates, List<Path> folders, String name) {
    for (Path folder : folders) {
      if (Files.exists(folder.resolve(name))) {
        candidates.add(folder.resolve(name).toAbsolutePath());
      }
    }
  }

  /** The file that a loaded library came from; a bare name if the system found it. */
  public Path fileOf(Library library) {
    return found.get(library);
  }

  /** Loads and initialises the driver. */
  public Driver driver() {
    Driver driver = new Driver(load(Library.DRIVER));
    driverMajor = driver.version() / 1000;
    return driver;
  }

  /** Loads the compiler. */
  public Nvrtc compiler() {
    return new Nvrtc(load(Library.NVRTC));
  }

  /** Loads cuBLASLt and asks for its version, such as {@code 13.1.0}, without a GPU. */
  public String matrixProductsVersion() {
    return BlasLt.version(load(Library.CUBLAS_LT));
  }

  /** Loads the recorder of what GPUs do, once; it attaches when it is started. */
  public Cupti activities() {
    if (activities == null) {
      activities = new Cupti(load(Library.CUPTI));
    }
    return activities;
  }

  /** Loads cuBLASLt for the current context. */
  public BlasLt matrixProducts() {
    return new BlasLt(load(Library.CUBLAS_LT));
  }
}
