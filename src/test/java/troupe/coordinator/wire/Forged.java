package troupe.coordinator.wire;

import akka.serialization.SerializerWithStringManifest;

/** Bytes that go out as if they were a control message. */
record Forged(String manifest, byte[] bytes) {
  /** Signs with the number of {@link KryoSerializer}. */
  public static final class Serializer extends SerializerWithStringManifest {
    static final String[] SETTINGS = {
      "akka.actor.serializers.troupe = \"" + Serializer.class.getName() + "\"",
      "akka.actor.serialization-bindings { \"" + Forged.class.getName() + "\" = troupe }",
    };

    @Override
    public int identifier() {
      return KryoSerializer.IDENTIFIER;
    }

    @Override
    public String manifest(Object message) {
      return ((Forged) message).manifest();
    }

    @Override
    public byte[] toBinary(Object message) {
      return ((Forged) message).bytes();
    }

    @Override
    public Object fromBinary(byte[] bytes, String manifest) {
      return new Forged(manifest, bytes);
    }
  }
}
