package troupe.coordinator.wire;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/** A count, keys and values; unmodifiable when read. Sorted maps are in the natural order. */
final class MapCodec extends Serializer<Map<Object, Object>> {
  private final boolean isSorted;
  private final Serializer<Object> key;
  private final Serializer<Object> value;

  MapCodec(boolean isSorted, Serializer<Object> key, Serializer<Object> value) {
    super(false, true);
    this.isSorted = isSorted;
    this.key = key;
    this.value = value;
  }

  @Override
  public void write(Kryo kryo, Output output, Map<Object, Object> map) {
    if (map instanceof SortedMap<Object, Object> sorted && sorted.comparator() != null) {
      throw CollectionCodec.naturalOrderExpected();
    }
    output.writeVarInt(map.size(), true);
    map.forEach(
        (k, v) -> {
          key.write(kryo, output, k);
          value.write(kryo, output, v);
        });
  }

  @Override
  public Map<Object, Object> read(
      Kryo kryo, Input input, Class<? extends Map<Object, Object>> type) {
    int count = Bounds.readCount(input, 2);
    Map<Object, Object> map = isSorted ? new TreeMap<>() : new LinkedHashMap<>();
    for (int i = 0; i < count; i++) {
      Object k = key.read(kryo, input, Object.class);
      map.put(k, value.read(kryo, input, Object.class));
    }
    return isSorted
        ? Collections.unmodifiableSortedMap((SortedMap<Object, Object>) map)
        : Collections.unmodifiableMap(map);
  }
}
