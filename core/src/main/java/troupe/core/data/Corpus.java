package troupe.core.data;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPInputStream;
import troupe.core.UserException;
import troupe.core.config.RunConfig;

/**
 * The text of a run as two token streams that share no text: one to train on, one to validate on.
 * What they hold depends on the {@code data} section and the files alone, not on the seed.
 *
 * <p>Files are mapped, not read, so they may be larger than memory; packed ones are unpacked to a
 * cache first. The whole text is checked to be UTF-8 when it is opened: that runs at the speed of
 * the disk, and a bad file is better found now than after a night of training.
 *
 * <p>Any number of threads may read. The streams are valid until {@link #close}.
 */
public final class Corpus implements AutoCloseable {
  private final Arena arena;
  private final TokenStream training;
  private final TokenStream validation;

  private Corpus(Arena arena, TokenStream training, TokenStream validation) {
    this.arena = arena;
    this.training = training;
    this.validation = validation;
  }

  /**
   * Opens what {@code data} names.
   *
   * @param seq tokens of a sequence; both streams must hold one and the token after it
   * @throws UserException if there is no such text, it is not UTF-8, or there is too little of it
   */
  public static Corpus open(RunConfig.Data data, Tokenizer tokenizer, int seq) {
    return open(
        data,
        tokenizer,
        seq,
        UnpackedFiles.defaultFolder(),
        Path.of(System.getProperty("java.home")));
  }

  /**
   * As above, with the folder for unpacked text and the home of the JDK whose sources are meant.
   */
  static Corpus open(RunConfig.Data data, Tokenizer tokenizer, int seq, Path cache, Path javaHome) {
    double fraction = data.validationFraction();
    Arena arena = Arena.ofShared();
    try {
      UnpackedFiles unpacked = new UnpackedFiles(cache);
      Texts texts =
          switch (data.source()) {
            case DICTIONARY -> dictionary(fraction);
            case JDK_SOURCES -> {
              Path zip = JdkSources.zipOf(javaHome);
              Path file = unpacked.get(zip, out -> JdkSources.unpack(zip, out));
              yield split(List.of(map(zip, file, arena)), zip.toString(), fraction);
            }
            case TEXT -> split(mapAll(data.path(), unpacked, arena), data.path(), fraction);
          };
      return new Corpus(
          arena,
          tokens("training", tokenizer, texts.training(), seq),
          tokens("validation", tokenizer, texts.validation(), seq));
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  /** The tokens to train on. */
  public TokenStream training() {
    return training;
  }

  /** The tokens to validate on. */
  public TokenStream validation() {
    return validation;
  }

  /** Unmaps the text; no thread may be reading. */
  @Override
  public void close() {
    arena.close();
  }

  private record Texts(Text training, Text validation) {}

  private static Texts dictionary(double fraction) {
    StringBuilder training = new StringBuilder(12 << 20);
    StringBuilder validation = new StringBuilder();
    for (Dictionary.Sense sense : Dictionary.senses()) {
      (sense.isValidation(fraction) ? validation : training).append(sense.line()).append('\n');
    }
    return new Texts(heapText(training), heapText(validation));
  }

  private static Text heapText(StringBuilder text) {
    return new Text(
        List.of(MemorySegment.ofArray(text.toString().getBytes(StandardCharsets.UTF_8))));
  }

  private static Texts split(List<MemorySegment> files, String name, double fraction) {
    BlockSplit split = new BlockSplit(files, fraction);
    if (split.training().bytes() + split.validation().bytes() == 0) {
      throw new UserException(
          name + " is empty (expected: text)", "set data.path to files that hold text");
    }
    return new Texts(split.training(), split.validation());
  }

  private static List<MemorySegment> mapAll(String path, UnpackedFiles unpacked, Arena arena) {
    List<MemorySegment> mapped = new ArrayList<>();
    for (Path source : TextFiles.find(path)) {
      boolean packed = source.getFileName().toString().endsWith(".gz");
      Path file = packed ? unpacked.get(source, out -> gunzip(source, out)) : source;
      mapped.add(map(source, file, arena));
    }
    return mapped;
  }

  private static void gunzip(Path source, OutputStream out) throws IOException {
    try (InputStream in = new GZIPInputStream(Files.newInputStream(source), 1 << 16)) {
      in.transferTo(out);
    }
  }

  /** Maps a file and checks that it is UTF-8; errors name the source that it was unpacked from. */
  private static MemorySegment map(Path source, Path file, Arena arena) {
    MemorySegment text;
    try (FileChannel channel = FileChannel.open(file)) {
      text = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
    } catch (IOException e) {
      throw new UserException(
          source + " cannot be read: " + e, "check the permissions of " + file, e);
    }
    long invalid = Utf8.firstInvalid(text);
    if (invalid >= 0) {
      throw new UserException(
          source
              + ": not UTF-8 at byte "
              + invalid
              + (file.equals(source) ? "" : " of the unpacked text")
              + " (expected: UTF-8 text)",
          "convert it, for example with iconv -f LATIN1 -t UTF-8, or leave it out by a glob");
    }
    return text;
  }

  private static TokenStream tokens(String name, Tokenizer tokenizer, Text text, int seq) {
    TokenStream tokens = tokenizer.tokens(text);
    if (tokens.size() < seq + 1L) {
      throw new UserException(
          "tokens for "
              + name
              + ": "
              + tokens.size()
              + " (expected: >= "
              + (seq + 1L)
              + ", one sequence and the token after it)",
          "give more text (data.path), change data.validation_fraction, or lower model.seq");
    }
    return tokens;
  }
}
