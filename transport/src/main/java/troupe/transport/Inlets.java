package troupe.transport;

import io.aeron.Image;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.stream.Stream;

/**
 * Which strand receives which stream: a new one goes to the strand that has fewest, and stays
 * there, so that all frames of a batch come to the same strand.
 */
final class Inlets {
  private static final Image[] NONE = {};

  private final AtomicReferenceArray<Image[]> images;

  Inlets(int strands) {
    images =
        new AtomicReferenceArray<>(
            Stream.generate(() -> NONE).limit(strands).toArray(Image[][]::new));
  }

  /** The streams of a strand; not to be changed. */
  Image[] of(int strand) {
    return images.get(strand);
  }

  /** A sender has begun a stream. */
  synchronized void add(Image image) {
    int fewest = 0;
    for (int strand = 0; strand < images.length(); strand++) {
      images.set(strand, without(image, strand));
      fewest = of(strand).length < of(fewest).length ? strand : fewest;
    }
    Image[] more = Arrays.copyOf(of(fewest), of(fewest).length + 1);
    more[more.length - 1] = image;
    images.set(fewest, more);
  }

  /** A stream has ended. */
  synchronized void remove(Image image) {
    for (int strand = 0; strand < images.length(); strand++) {
      images.set(strand, without(image, strand));
    }
  }

  private Image[] without(Image image, int strand) {
    return Stream.of(of(strand)).filter(it -> it != image && !it.isClosed()).toArray(Image[]::new);
  }
}
