package troupe.coordinator.wire;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * A map with thousands of keys in few families and few different values: two bytes an entry.
 *
 * <pre>
 *   number of values | value ...
 *   number of families | kind | layer + 1 | number of keys | gap to the key before, value number ...
 * </pre>
 */
final class DenseMapCodec<K> extends Serializer<SortedMap<K, Object>> {
  /** Kind, layer, number of keys. */
  private static final int FAMILY_BYTES = 3;

  /** Gap, number of the value. */
  private static final int ENTRY_BYTES = 2;

  private final DenseKey<K> keys;
  private final Serializer<Object> value;

  DenseMapCodec(DenseKey<K> keys, Serializer<Object> value) {
    super(false, true);
    this.keys = keys;
    this.value = value;
  }

  @Override
  public void write(Kryo kryo, Output output, SortedMap<K, Object> map) {
    if (map.comparator() != null) {
      throw CollectionCodec.naturalOrderExpected();
    }
    Map<Object, Integer> numbers = new LinkedHashMap<>();
    List<List<K>> families = new ArrayList<>();
    K last = null;
    for (Map.Entry<K, Object> entry : map.entrySet()) {
      K key = entry.getKey();
      numbers.putIfAbsent(entry.getValue(), numbers.size());
      if (last == null || !sameFamily(last, key)) {
        families.add(new ArrayList<>());
      }
      families.getLast().add(key);
      last = key;
    }
    output.writeVarInt(numbers.size(), true);
    numbers.keySet().forEach(v -> value.write(kryo, output, v));
    output.writeVarInt(families.size(), true);
    for (List<K> family : families) {
      writeFamily(output, family, map, numbers);
    }
  }

  private boolean sameFamily(K a, K b) {
    return keys.kind().applyAsInt(a) == keys.kind().applyAsInt(b)
        && keys.layer().applyAsInt(a) == keys.layer().applyAsInt(b);
  }

  private void writeFamily(
      Output output, List<K> family, SortedMap<K, Object> map, Map<Object, Integer> numbers) {
    output.writeVarInt(keys.kind().applyAsInt(family.getFirst()), true);
    output.writeVarInt(keys.layer().applyAsInt(family.getFirst()) + 1, true);
    output.writeVarInt(family.size(), true);
    int next = 0;
    for (K key : family) {
      int index = keys.index().applyAsInt(key);
      output.writeVarInt(index - next, true);
      output.writeVarInt(numbers.get(map.get(key)), true);
      next = index + 1;
    }
  }

  @Override
  public SortedMap<K, Object> read(
      Kryo kryo, Input input, Class<? extends SortedMap<K, Object>> type) {
    int numValues = Bounds.readCount(input, 1);
    List<Object> values = new ArrayList<>(numValues);
    for (int i = 0; i < numValues; i++) {
      values.add(value.read(kryo, input, Object.class));
    }
    SortedMap<K, Object> map = new TreeMap<>();
    int numFamilies = Bounds.readCount(input, FAMILY_BYTES);
    for (int i = 0; i < numFamilies; i++) {
      readFamily(input, values, map);
    }
    return Collections.unmodifiableSortedMap(map);
  }

  private void readFamily(Input input, List<Object> values, SortedMap<K, Object> map) {
    int kind = input.readVarInt(true);
    int layer = input.readVarInt(true) - 1;
    int count = Bounds.readCount(input, ENTRY_BYTES);
    int index = 0;
    for (int i = 0; i < count; i++) {
      index += input.readVarInt(true);
      int number = input.readVarInt(true);
      if (number < 0 || number >= values.size()) {
        throw RefusedException.malformed("value number " + number, "below " + values.size());
      }
      map.put(keys.key().apply(new int[] {kind, layer, index}), values.get(number));
      index++;
    }
  }
}
