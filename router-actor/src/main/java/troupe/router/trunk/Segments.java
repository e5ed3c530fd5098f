package troupe.router.trunk;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.BiPredicate;
import java.util.stream.IntStream;
import troupe.core.config.RunConfig;
import troupe.core.nn.ParameterLayout;
import troupe.core.nn.ParameterSpec;

/**
 * How the gradient of each slice is cut into what travels at once: where it becomes final, so that
 * backward and the exchange overlap. A pure function of the config, so all ranks cut alike.
 *
 * <pre>
 *   flat      | tok pos | l0 matrices | l1 matrices | head | vectors of all layers |
 *   final after    0           0             1         2        0                      (2 layers: 2 is the head's backward)
 *   segments  |         0             |      1      |  2   |  3                    |
 * </pre>
 *
 * A short piece goes with a neighbour that is final no earlier, or with another short one. Where it
 * would hold a long neighbour back it travels alone.
 */
public final class Segments {
  /** Elements below which a batch is hardly worth its frames: 64 KiB of float32. */
  static final int SHORT = 16_384;

  /**
   * Elements beyond which a piece of a small trunk is cut, so that an owner sums while the rest is
   * on its way.
   */
  static final int LONGEST = 262_144;

  /** So many pieces of a large trunk overlap as well as more of them would, for fewer messages. */
  static final int PIECES = 16;

  private final List<List<Segment>> ofOwner = new ArrayList<>();

  /**
   * A range of the flat trunk.
   *
   * @param owner the rank that sums it
   * @param number its number within the owner's slice, from 0 on
   * @param from its first element in the flat trunk
   * @param count its elements
   * @param finalAfter the layer whose backward is the last to add to it; the number of layers
   *     stands for that of the head
   */
  public record Segment(int owner, int number, long from, int count, int finalAfter) {}

  /** Contiguous elements that become final at the same time. */
  private record Piece(long from, long to, int finalAfter) {
    boolean isShort() {
      return to - from < SHORT;
    }

    boolean isFinalWith(Piece next) {
      return finalAfter == next.finalAfter;
    }

    boolean goesWith(Piece next) {
      return isFinalWith(next)
          || isShort() && next.isShort()
          || isShort() && next.finalAfter < finalAfter
          || next.isShort() && finalAfter < next.finalAfter;
    }

    Piece with(Piece next) {
      return new Piece(from, next.to, Math.min(finalAfter, next.finalAfter));
    }
  }

  /** The segments of a run. */
  public static Segments of(RunConfig config) {
    ParameterLayout layout = TrunkParameters.layout(config);
    return new Segments(
        layout,
        new Slices(layout.size(), config.train().ranks()),
        TrunkParameters.finalAfter(config));
  }

  /** The segments of these slices; {@code finalAfter} says when each parameter is final. */
  Segments(ParameterLayout layout, Slices slices, Map<String, Integer> finalAfter) {
    List<Piece> parameters = parameters(layout, finalAfter);
    for (int owner = 0; owner < slices.ranks(); owner++) {
      List<Piece> slice = within(parameters, slices.from(owner), slices.from(owner + 1));
      // First whole layers, so that one of many short parameters counts as what it is.
      ofOwner.add(
          cut(
              owner,
              joined(joined(slice, Piece::isFinalWith), Piece::goesWith),
              longest(layout.size())));
    }
  }

  /** The elements of a segment at most, in a trunk of so many. */
  static long longest(long elements) {
    // A multiple of what parts are aligned to, or one may be a little longer.
    return Math.max(LONGEST, elements / PIECES / Slices.ALIGNMENT * Slices.ALIGNMENT);
  }

  /** The parameters in the order of the buffer, each with the padding behind it. */
  private static List<Piece> parameters(ParameterLayout layout, Map<String, Integer> finalAfter) {
    List<String> names =
        layout.specs().stream()
            .map(ParameterSpec::name)
            .sorted(Comparator.comparingLong(layout::offset))
            .toList();
    return IntStream.range(0, names.size())
        .mapToObj(
            i ->
                new Piece(
                    layout.offset(names.get(i)),
                    i + 1 < names.size() ? layout.offset(names.get(i + 1)) : layout.size(),
                    finalAfter.get(names.get(i))))
        .toList();
  }

  private static List<Piece> within(List<Piece> parameters, long from, long to) {
    return parameters.stream()
        .filter(piece -> piece.to() > from && piece.from() < to)
        .map(
            piece ->
                new Piece(
                    Math.max(from, piece.from()), Math.min(to, piece.to()), piece.finalAfter()))
        .toList();
  }

  private static List<Piece> joined(List<Piece> pieces, BiPredicate<Piece, Piece> goTogether) {
    List<Piece> joined = new ArrayList<>();
    for (Piece next : pieces) {
      Piece last = next;
      while (!joined.isEmpty() && goTogether.test(joined.getLast(), last)) {
        last = joined.removeLast().with(last);
      }
      joined.add(last);
    }
    return joined;
  }

  private static List<Segment> cut(int owner, List<Piece> pieces, long longest) {
    List<Segment> segments = new ArrayList<>();
    for (Piece piece : pieces) {
      long size = piece.to() - piece.from();
      // Cut like a trunk over ranks, into parts as even as their alignment lets them be.
      Slices parts = new Slices(size, Math.toIntExact(Math.ceilDiv(size, longest)));
      for (int part = 0; part < parts.ranks(); part++) {
        segments.add(
            new Segment(
                owner,
                segments.size(),
                piece.from() + parts.from(part),
                parts.count(part),
                piece.finalAfter()));
      }
    }
    return List.copyOf(segments);
  }

  /** The segments of a rank's slice, in the order of their numbers and of the buffer. */
  public List<Segment> of(int owner) {
    return ofOwner.get(owner);
  }

  /** Whether a slice has a segment of this number and size; the arguments may be anything. */
  public boolean isSegment(int owner, int number, int columns) {
    return owner >= 0
        && owner < ofOwner.size()
        && number >= 0
        && number < ofOwner.get(owner).size()
        && ofOwner.get(owner).get(number).count() == columns;
  }
}
