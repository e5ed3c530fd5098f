package troupe.core.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.core.config.RunConfig.Data;
import troupe.core.config.RunConfig.Source;

final class CorpusTest {
  private static final int SEQ = 16;
  private static final double FRACTION = 0.1;
  private static final long LARGE = (1L << 31) + (1 << 16);

  private final ByteTokenizer tokenizer = new ByteTokenizer();
  @TempDir private Path folder;
  @TempDir private Path cache;

  private Corpus open(Source source, String path) {
    return Corpus.open(new Data(source, path, FRACTION), tokenizer, SEQ, cache, folder);
  }

  private String all(TokenStream tokens) {
    int[] out = new int[Math.toIntExact(tokens.size())];
    tokens.read(0, out, 0, out.length);
    return tokenizer.decode(out);
  }

  /** Numbered lines with characters of two, three and four bytes, so that a torn one would show. */
  private static String lines(int first, int count) {
    StringBuilder text = new StringBuilder();
    for (int i = first; i < first + count; i++) {
      text.append(i).append(" caf\u00e9 \u4e2d\u6587 \ud83e\udd89\n");
    }
    return text.toString();
  }

  private Path write(String name, String text) throws IOException {
    Path file = folder.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, text);
  }

  /**
   * Training and validation together are the lines of the text, each once, in order on each side.
   */
  private void assertPartition(String text, Corpus corpus) {
    List<String> training = all(corpus.training()).lines().toList();
    List<String> validation = all(corpus.validation()).lines().toList();
    List<String> both = new ArrayList<>(training);
    both.addAll(validation);
    List<String> expected = new ArrayList<>(text.lines().toList());
    assertEquals(expected.size(), both.size());
    both.sort(null);
    expected.sort(null);
    assertEquals(expected, both);
    List<String> inOrder = text.lines().filter(new HashSet<>(training)::contains).toList();
    assertEquals(inOrder, training);
    double share =
        (double) corpus.validation().size() / text.getBytes(StandardCharsets.UTF_8).length;
    // Blocks end after a line: each side gains or loses at most half a block at its cuts.
    assertEquals(FRACTION, share, 0.03);
  }

  @Test
  void shouldSplitTheDictionaryByWord() {
    try (Corpus corpus = open(Source.DICTIONARY, "")) {
      List<String> training = all(corpus.training()).lines().toList();
      List<String> validation = all(corpus.validation()).lines().toList();
      assertEquals(117_791, training.size() + validation.size());
      assertEquals(11_278_516, corpus.training().size() + corpus.validation().size());
      Set<String> words = new HashSet<>();
      training.forEach(line -> words.add(word(line)));
      assertTrue(validation.stream().noneMatch(line -> words.contains(word(line))));
    }
  }

  private static String word(String line) {
    return line.substring(0, line.indexOf(" ("));
  }

  @Test
  void shouldSplitAFileBetweenLines() throws IOException {
    String text = lines(0, 20_000);
    Path file = write("a.txt", text);
    try (Corpus corpus = open(Source.TEXT, file.toString())) {
      assertPartition(text, corpus);
    }
  }

  @Test
  void shouldSplitTextWithoutLinesBetweenCharacters() throws IOException {
    String text = "\u4e2d\ud83e\udd89\u00e9".repeat(20_000);
    Path file = write("a.txt", text);
    try (Corpus corpus = open(Source.TEXT, file.toString())) {
      assertEquals(
          text.getBytes(StandardCharsets.UTF_8).length,
          corpus.training().size() + corpus.validation().size());
      assertEquals(-1, all(corpus.training()).indexOf('\ufffd'));
      assertEquals(-1, all(corpus.validation()).indexOf('\ufffd'));
    }
  }

  @Test
  void shouldSplitTheSameEachTime() throws IOException {
    Path file = write("a.txt", lines(0, 20_000));
    try (Corpus once = open(Source.TEXT, file.toString());
        Corpus again = open(Source.TEXT, file.toString())) {
      assertEquals(all(once.training()), all(again.training()));
      assertEquals(all(once.validation()), all(again.validation()));
    }
  }

  @Test
  void shouldReadAFolderRecursivelyInOrderWithoutHiddenFiles() throws IOException {
    write("b.txt", lines(4_000, 2_000));
    write("a/z.txt", lines(0, 4_000));
    write("c.txt", "");
    write(".git/x.txt", "hidden\n");
    try (Corpus corpus = open(Source.TEXT, folder.toString())) {
      assertPartition(lines(0, 6_000), corpus);
    }
  }

  @Test
  void shouldReadAGlobOnly() throws IOException {
    write("in/a.txt", lines(0, 2_000));
    write("in/b.txt", lines(2_000, 2_000));
    write("in/deep/c.txt", lines(4_000, 2_000));
    write("in/d.md", "not this\n");
    try (Corpus corpus = open(Source.TEXT, folder + "/in/*.txt")) {
      assertPartition(lines(0, 4_000), corpus);
    }
    for (String glob : List.of("/in/**.txt", "/in/**/*.txt", "/**/{a,b,c}.txt")) {
      try (Corpus corpus = open(Source.TEXT, folder + glob)) {
        assertPartition(lines(0, 6_000), corpus);
      }
    }
  }

  @Test
  void shouldTakeAFileWhoseNameLooksLikeAGlob() throws IOException {
    Path file = write("a[1].txt", lines(0, 1_000));
    write("a1.txt", "not this\n");
    try (Corpus corpus = open(Source.TEXT, file.toString())) {
      assertPartition(lines(0, 1_000), corpus);
    }
  }

  @Test
  void shouldUnpackGzipOnceAndAgainWhenItChanges() throws IOException {
    Path file = folder.resolve("a.txt.gz");
    gzip(file, lines(0, 3_000));
    for (int run = 0; run < 2; run++) {
      try (Corpus corpus = open(Source.TEXT, file.toString())) {
        assertPartition(lines(0, 3_000), corpus);
      }
      assertEquals(1, entries());
    }
    gzip(file, lines(0, 4_000));
    try (Corpus corpus = open(Source.TEXT, file.toString())) {
      assertPartition(lines(0, 4_000), corpus);
    }
    assertEquals(2, entries());
  }

  private long entries() throws IOException {
    try (var files = Files.list(cache)) {
      return files.count();
    }
  }

  private static void gzip(Path file, String text) throws IOException {
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      out.write(text.getBytes(StandardCharsets.UTF_8));
    }
  }

  @Test
  void shouldReadTheSourcesOfAJdk() throws IOException {
    Files.createDirectories(folder.resolve("lib"));
    try (ZipOutputStream zip =
        new ZipOutputStream(Files.newOutputStream(folder.resolve("lib/src.zip")))) {
      for (String name : List.of("m/B.java", "m/A.java", "m/readme.txt")) {
        zip.putNextEntry(new ZipEntry(name));
        int first = name.equals("m/A.java") ? 0 : 2_000;
        zip.write(lines(first, 2_000).getBytes(StandardCharsets.UTF_8));
      }
    }
    try (Corpus corpus = open(Source.JDK_SOURCES, "")) {
      assertPartition(lines(0, 4_000), corpus);
    }
  }

  /** Two GiB and a bit that take no room on disk: a hole, and at its end ten lines. */
  private Path sparseFile(long size) throws IOException {
    Path file = folder.resolve("large.txt");
    try (FileChannel channel =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.SPARSE,
            StandardOpenOption.WRITE)) {
      byte[] end = lines(0, 10).getBytes(StandardCharsets.UTF_8);
      channel.write(ByteBuffer.wrap(end), size - end.length);
    }
    return file;
  }

  private void assertHoleAndLines(TokenStream training, TokenStream validation) {
    assertEquals(LARGE, training.size() + validation.size());
    int[] tail = new int[tokenizer.encode(lines(0, 10)).length];
    // Which side the last block is on is not the point here.
    TokenStream last = endsInZero(training) ? validation : training;
    last.read(last.size() - tail.length, tail, 0, tail.length);
    assertEquals(lines(0, 10), tokenizer.decode(tail));
    int[] hole = new int[SEQ];
    training.read(training.size() / 2, hole, 0, SEQ);
    assertArrayEquals(new int[SEQ], hole);
  }

  @Test
  void shouldSplitAFileLargerThanAnArrayWithoutReadingIt() throws IOException {
    Path file = sparseFile(LARGE);
    // A small fraction: every cut touches the file, and the system then reads ahead up to
    // megabytes.
    try (Arena arena = Arena.ofShared();
        FileChannel channel = FileChannel.open(file)) {
      MemorySegment mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, LARGE, arena);
      BlockSplit split = new BlockSplit(List.of(mapped), 0.001);
      assertHoleAndLines(tokenizer.tokens(split.training()), tokenizer.tokens(split.validation()));
    }
  }

  /** Slow, because checking for UTF-8 brings 2 GiB of zeros into the page cache. */
  @Test
  @Tag("slow")
  void shouldOpenAFileLargerThanAnArray() throws IOException {
    try (Corpus corpus = open(Source.TEXT, sparseFile(LARGE).toString())) {
      assertHoleAndLines(corpus.training(), corpus.validation());
    }
  }

  private static boolean endsInZero(TokenStream tokens) {
    int[] last = new int[1];
    tokens.read(tokens.size() - 1, last, 0, 1);
    return last[0] == 0;
  }

  @Test
  void shouldServeSeveralThreadsAtOnce() throws Exception {
    Path file = write("a.txt", lines(0, 20_000));
    try (Corpus corpus = open(Source.TEXT, file.toString());
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      Batches batches = new Batches(corpus.training(), SEQ);
      Batches.Split split = new Batches.Split(1, 1, 8);
      List<Callable<List<int[]>>> readers = new ArrayList<>();
      for (int thread = 0; thread < 4; thread++) {
        readers.add(
            () -> {
              List<int[]> read = new ArrayList<>();
              for (int step = 0; step < 500; step++) {
                read.add(batches.training(3, step, 0, 0, split).tokens_T());
              }
              return read;
            });
      }
      List<int[]> expected = readers.getFirst().call();
      for (Future<List<int[]>> reader : threads.invokeAll(readers)) {
        for (int step = 0; step < expected.size(); step++) {
          assertArrayEquals(expected.get(step), reader.get().get(step));
        }
      }
    }
  }
}
