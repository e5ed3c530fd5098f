package troupe.core.tensor.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CudaLibrariesTest {
  @TempDir private Path folder;

  private Path library(String path) throws IOException {
    Path file = folder.resolve(path);
    Files.createDirectories(file.getParent());
    return Files.createFile(file);
  }

  private List<Path> nvrtc(String folders) {
    return new CudaLibraries(folders).candidates(CudaLibraries.Library.NVRTC);
  }

  @Test
  void shouldPreferWhatIsNamedToANewerOneElsewhere() throws IOException {
    Path old = library("old/libnvrtc.so.12");
    List<Path> candidates = nvrtc(old.getParent().toString());
    assertEquals(old, candidates.getFirst());
    assertEquals(Path.of("libnvrtc.so.12"), candidates.getLast());
  }

  @Test
  void shouldPreferTheNewerOfWhatIsNamed() throws IOException {
    Path old = library("old/libnvrtc.so.12");
    Path newer = library("new/libnvrtc.so.13");
    assertEquals(
        List.of(newer, old), nvrtc(old.getParent() + "::" + newer.getParent()).subList(0, 2));
  }

  @Test
  void shouldLookForTheDriverInItsOneVersion() throws IOException {
    Path stub = library("libcuda.so.1");
    assertEquals(
        List.of(stub),
        new CudaLibraries(folder.toString())
            .candidates(CudaLibraries.Library.DRIVER)
            .subList(0, 1));
  }
}
