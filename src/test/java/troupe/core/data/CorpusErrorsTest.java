package troupe.core.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.core.UserException;
import troupe.core.config.RunConfig.Data;
import troupe.core.config.RunConfig.Source;

/** What a user is told when the text is not what the config says. */
final class CorpusErrorsTest {
  private static final int SEQ = 16;
  private static final String TEXT = "one line of text\n";

  @TempDir private Path folder;
  @TempDir private Path cache;

  /**
   * Opens a corpus that cannot be opened; the message must hold all the parts, and there must be a
   * hint.
   */
  private UserException refused(Data data, String... parts) {
    UserException e =
        assertThrows(
            UserException.class,
            () -> Corpus.open(data, new ByteTokenizer(), SEQ, cache, folder).close());
    for (String part : parts) {
      assertTrue(e.getMessage().contains(part), e.getMessage() + " lacks: " + part);
    }
    assertFalse(e.hint().isBlank());
    return e;
  }

  private static Data text(Object path) {
    return new Data(Source.TEXT, path.toString(), 0.1);
  }

  private Path write(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }

  @Test
  void shouldRefuseAMissingPath() {
    refused(text(folder.resolve("none.txt")), "none.txt", "expected: an existing file");
    refused(text(folder.resolve("none/*.txt")), "no folder", "none");
  }

  @Test
  void shouldRefuseADanglingLink() throws IOException {
    Path link = Files.createSymbolicLink(folder.resolve("link.txt"), folder.resolve("gone.txt"));
    refused(text(link), "link.txt", "expected: an existing file");
  }

  @Test
  void shouldRefuseAPathThatCannotBeOne() {
    refused(text("a\u0000b"), "expected: a file, a folder or a glob");
    refused(text(folder + "/{a"), "expected: a file, a folder or a glob");
  }

  @Test
  void shouldRefuseAnEmptyFile() throws IOException {
    refused(text(write("empty.txt", "")), "empty.txt is empty");
  }

  @Test
  void shouldRefuseAFolderOfEmptyFiles() throws IOException {
    write("a.txt", "");
    write("b.txt", "");
    refused(text(folder), folder + " is empty");
  }

  @Test
  void shouldRefuseAFolderOrGlobWithoutFiles() throws IOException {
    refused(text(folder), "holds no files");
    write("a.md", TEXT);
    refused(text(folder + "/*.txt"), "holds no files");
  }

  @Test
  void shouldRefuseWhatIsNoRegularFile() {
    Path device = Path.of("/dev/null");
    assumeFalse(Files.notExists(device));
    refused(text(device), "no regular file");
  }

  @Test
  void shouldRefuseAnUnreadableFile() throws IOException {
    Path file = write("a.txt", TEXT.repeat(1000));
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("---------"));
    assumeFalse(Files.isReadable(file), "root may read everything");
    refused(text(file), "a.txt is not readable");
  }

  @Test
  void shouldRefuseAFolderThatContainsItself() throws IOException {
    write("a.txt", TEXT.repeat(1000));
    Files.createSymbolicLink(folder.resolve("loop"), folder);
    refused(text(folder), "cannot be listed");
  }

  @Test
  void shouldSayWhereTextIsNotUtf8() throws IOException {
    Path file = folder.resolve("latin1.txt");
    String line = TEXT.repeat(1000);
    Files.write(file, (line + "caf\u00e9\n" + line).getBytes(StandardCharsets.ISO_8859_1));
    refused(text(file), "latin1.txt: not UTF-8 at byte " + (line.length() + 3));
  }

  @Test
  void shouldSayWhereUnpackedTextIsNotUtf8() throws IOException {
    Path file = folder.resolve("a.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      out.write(new byte[] {'a', (byte) 0xFF});
    }
    refused(text(file), "a.gz: not UTF-8 at byte 1 of the unpacked text");
  }

  @Test
  void shouldRefuseATornGzipFileAndLeaveNothingBehind() throws IOException {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (OutputStream out = new GZIPOutputStream(packed)) {
      out.write(TEXT.repeat(1000).getBytes(StandardCharsets.UTF_8));
    }
    Path file = folder.resolve("torn.gz");
    Files.write(file, Arrays.copyOf(packed.toByteArray(), packed.size() / 2));
    refused(text(file), "torn.gz cannot be unpacked");
    try (Stream<Path> left = Files.list(cache)) {
      assertEquals(0, left.count());
    }
  }

  @Test
  void shouldSayWhenTheCacheCannotBeWritten() throws IOException {
    Path file = folder.resolve("a.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      out.write(TEXT.getBytes(StandardCharsets.UTF_8));
    }
    Path notAFolder = write("file", "");
    UserException e =
        assertThrows(
            UserException.class,
            () -> Corpus.open(text(file), new ByteTokenizer(), SEQ, notAFolder, folder).close());
    assertTrue(e.getMessage().contains("cannot be unpacked to " + notAFolder), e.getMessage());
    assertTrue(e.hint().contains("XDG_CACHE_HOME"), e.hint());
  }

  @Test
  void shouldCountTheTokensThatAreTooFew() throws IOException {
    Path file = write("short.txt", "sixteen letters!");
    refused(text(file), "tokens for training: 16 (expected: >= 17");
    // Two blocks of 1 KiB, and the tenth is the first that validation gets.
    refused(
        text(write("longer.txt", TEXT.repeat(100))), "tokens for validation: 0 (expected: >= 17");
  }

  @Test
  void shouldNameAJdkWithoutSources() {
    UserException e = refused(new Data(Source.JDK_SOURCES, "", 0.1), "src.zip", "jdk-sources");
    assertTrue(e.hint().contains("data.source=dictionary"), e.hint());
  }
}
