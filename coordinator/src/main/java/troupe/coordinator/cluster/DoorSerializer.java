package troupe.coordinator.cluster;

import akka.actor.ExtendedActorSystem;
import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorRefResolver;
import akka.actor.typed.javadsl.Adapter;
import akka.serialization.SerializerWithStringManifest;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.TypeAdapter;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonWriter;
import java.io.IOException;
import java.io.NotSerializableException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Writes what is said at the door as JSON: other versions of Troupe leave out what they do not
 * know, so they can at least be told that they are other versions. What comes in is not trusted: a
 * fixed set of records, text and numbers, nothing else can come of it.
 */
public final class DoorSerializer extends SerializerWithStringManifest {
  /** Akka's own end at 40. */
  private static final int IDENTIFIER = 2310;

  private static final int MAX_BYTES = 64 * 1024;

  /** An {@link Door.Ask} has one of several requests: its kind goes into the manifest. */
  private static final String ASK = "Ask:";

  private static final Map<String, Class<? extends Door.Message>> MESSAGES =
      byName(
          List.of(
              Door.Knock.class,
              Door.Welcome.class,
              Door.NotYet.class,
              Door.Refused.class,
              Door.Accepted.class));
  private static final Map<String, Class<? extends Door.Request>> REQUESTS =
      byName(List.of(Door.MoveExpert.class, Door.Leave.class, Door.Stop.class));

  private final Gson gson;

  /** Called by Akka. */
  public DoorSerializer(ExtendedActorSystem system) {
    ActorRefResolver resolver = ActorRefResolver.get(Adapter.toTyped(system));
    gson =
        new GsonBuilder()
            .registerTypeHierarchyAdapter(ActorRef.class, new RefAdapter(resolver))
            .create();
  }

  @Override
  public int identifier() {
    return IDENTIFIER;
  }

  @Override
  public String manifest(Object message) {
    return message instanceof Door.Ask ask
        ? ASK + ask.request().getClass().getSimpleName()
        : message.getClass().getSimpleName();
  }

  @Override
  public byte[] toBinary(Object message) {
    Object written =
        message instanceof Door.Ask ask
            ? new WrittenAsk(ask.version(), ask.run(), gson.toJson(ask.request()), ask.replyTo())
            : message;
    return gson.toJson(written).getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public Object fromBinary(byte[] bytes, String manifest) throws NotSerializableException {
    if (bytes.length > MAX_BYTES) {
      throw unreadable(manifest, bytes.length + " bytes (expected: at most " + MAX_BYTES + ")");
    }
    String json = new String(bytes, StandardCharsets.UTF_8);
    try {
      return manifest.startsWith(ASK)
          ? ask(json, manifest.substring(ASK.length()))
          : whole(gson.fromJson(json, known(MESSAGES, manifest)), manifest);
    } catch (RuntimeException e) {
      // Gson's own, and what constructors of records and the resolver of references throw.
      throw unreadable(manifest, e.getMessage());
    }
  }

  /** An {@link Door.Ask} with its request as JSON of its own. */
  private record WrittenAsk(
      String version, String run, String request, ActorRef<Door.Reply> replyTo) {}

  private Door.Ask ask(String json, String request) throws NotSerializableException {
    WrittenAsk read = whole(gson.fromJson(json, WrittenAsk.class), ASK + request);
    return new Door.Ask(
        read.version(),
        read.run(),
        whole(gson.fromJson(read.request(), known(REQUESTS, request)), request),
        read.replyTo());
  }

  /** JSON may leave anything out; records of the door have no field that may be missing. */
  private static <T> T whole(T read, String manifest) throws NotSerializableException {
    if (read == null || hasNull((Record) read)) {
      throw unreadable(manifest, "a field is missing");
    }
    return read;
  }

  private static boolean hasNull(Record read) {
    return Stream.of(read.getClass().getRecordComponents())
        .map(
            component -> {
              try {
                component.getAccessor().setAccessible(true);
                return component.getAccessor().invoke(read);
              } catch (ReflectiveOperationException e) {
                throw new IllegalStateException(component.getName(), e);
              }
            })
        .anyMatch(value -> value == null || value instanceof Record inner && hasNull(inner));
  }

  private static <T> Class<? extends T> known(Map<String, Class<? extends T>> types, String name)
      throws NotSerializableException {
    Class<? extends T> type = types.get(name);
    if (type == null) {
      throw unreadable(name, "nothing that is said at a door");
    }
    return type;
  }

  private static NotSerializableException unreadable(String manifest, String cause) {
    return new NotSerializableException("door message " + manifest + ": " + cause);
  }

  private static <T> Map<String, Class<? extends T>> byName(List<Class<? extends T>> types) {
    return types.stream()
        .collect(Collectors.toUnmodifiableMap(Class::getSimpleName, Function.identity()));
  }

  /** Actor references as the text that any node resolves. */
  private static final class RefAdapter extends TypeAdapter<ActorRef<?>> {
    private final ActorRefResolver resolver;

    RefAdapter(ActorRefResolver resolver) {
      this.resolver = resolver;
    }

    @Override
    public void write(JsonWriter out, ActorRef<?> ref) throws IOException {
      out.value(resolver.toSerializationFormat(ref));
    }

    @Override
    public ActorRef<?> read(JsonReader in) throws IOException {
      return resolver.resolveActorRef(in.nextString());
    }
  }
}
