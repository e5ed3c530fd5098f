package troupe.coordinator.wire;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.function.Function;

/** A count and elements; unmodifiable when read. Sorted sets are in the natural order. */
final class CollectionCodec extends Serializer<Collection<Object>> {
  private final Serializer<Object> element;
  private final Function<List<Object>, Collection<Object>> collect;

  /**
   * @param type {@link List}, {@link Set} or {@link SortedSet}
   */
  CollectionCodec(Class<?> type, Serializer<Object> element) {
    super(false, true);
    this.element = element;
    if (type == List.class) {
      collect = List::copyOf;
    } else if (type == Set.class) {
      collect = list -> Collections.unmodifiableSet(new LinkedHashSet<>(list));
    } else if (type == SortedSet.class) {
      collect = list -> Collections.unmodifiableSortedSet(new TreeSet<>(list));
    } else {
      throw new IllegalArgumentException(
          "collection: " + type.getName() + " (expected: List, Set or SortedSet)");
    }
  }

  @Override
  public void write(Kryo kryo, Output output, Collection<Object> values) {
    if (values instanceof SortedSet<Object> sorted && sorted.comparator() != null) {
      throw naturalOrderExpected();
    }
    output.writeVarInt(values.size(), true);
    for (Object value : values) {
      element.write(kryo, output, value);
    }
  }

  @Override
  public Collection<Object> read(Kryo kryo, Input input, Class<? extends Collection<Object>> type) {
    int count = Bounds.readCount(input, 1);
    List<Object> values = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      values.add(element.read(kryo, input, Object.class));
    }
    return collect.apply(values);
  }

  static RefusedException naturalOrderExpected() {
    return RefusedException.of(
        "a comparator", "the natural order", "a comparator is code and stays where it is");
  }
}
