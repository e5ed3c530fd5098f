package troupe.coordinator.events;

import com.google.gson.FieldNamingPolicy;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.annotations.SerializedName;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.coordinator.files.AtomicFile;
import troupe.core.UserException;

/**
 * The nodes of a run, for people and other processes: replaced as a whole whenever something
 * changes.
 *
 * @param epoch in which it was written; a file of a later one is never replaced by an earlier one
 * @param nodes all that were heard of, in the order of their coming
 */
public record NodesFile(int epoch, List<Node> nodes) {
  /** The name of the file in the folder of a run. */
  public static final String FILE_NAME = "nodes.json";

  private static final Logger LOG = LoggerFactory.getLogger(NodesFile.class);
  private static final Gson GSON =
      new GsonBuilder()
          .setFieldNamingPolicy(FieldNamingPolicy.LOWER_CASE_WITH_UNDERSCORES)
          .setPrettyPrinting()
          .disableHtmlEscaping()
          .create();

  /**
   * A node.
   *
   * @param name what people call it
   * @param node its number on the data plane
   * @param pid its process on its machine
   * @param address of its control messages, {@code HOST:PORT}
   * @param state whether it is there
   * @param coordinator whether it decides
   */
  public record Node(
      String name, int node, long pid, String address, State state, boolean coordinator) {
    /** Refuses a node without a name, an address or a state. */
    public Node {
      Objects.requireNonNull(name, "name");
      Objects.requireNonNull(address, "address");
      Objects.requireNonNull(state, "state");
    }
  }

  /** Whether a node is there. */
  public enum State {
    @SerializedName("up")
    UP,
    @SerializedName("suspected")
    SUSPECTED,
    @SerializedName("leaving")
    LEAVING,
    @SerializedName("gone")
    GONE
  }

  /** Copies the list. */
  public NodesFile {
    nodes = List.copyOf(nodes);
  }

  /**
   * Replaces the file, unless it is of a later epoch: then others go on without the caller. If that
   * fails the log says so.
   */
  public void write(Path file) {
    try {
      if (parse(file).filter(there -> there.epoch > epoch).isPresent()) {
        LOG.warn("nodes not written file={} cause=it is of a later epoch", file);
        return;
      }
      AtomicFile.write(file, GSON.toJson(this) + "\n");
    } catch (IOException e) {
      LOG.error(
          "nodes not written cause={}\nHINT: free disk space; training goes on without them",
          e.toString());
    }
  }

  /**
   * Reads the file of a run.
   *
   * @throws UserException if there is none, or it is none
   */
  public static NodesFile read(Path file) {
    try {
      return parse(file)
          .orElseThrow(
              () ->
                  new UserException(
                      file + " lists no nodes (expected: as a running node writes it)",
                      "name the folder of a run that is being trained"));
    } catch (IOException e) {
      throw new UserException(
          file + " cannot be read: " + e, "name the folder of a run that is being trained", e);
    }
  }

  /** The node that decides, or empty. */
  public Optional<Node> coordinator() {
    return nodes.stream().filter(Node::coordinator).findFirst();
  }

  private static Optional<NodesFile> parse(Path file) throws IOException {
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    try {
      return Optional.ofNullable(GSON.fromJson(Files.readString(file), NodesFile.class));
    } catch (CharacterCodingException | RuntimeException e) {
      // No JSON, or of other shape: Gson wraps what a record's constructor throws in various ways.
      return Optional.empty();
    }
  }
}
