package troupe.coordinator.cluster;

import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.NoRouteToHostException;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.security.NoSuchAlgorithmException;
import java.util.Optional;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSocket;

/**
 * Finds out what is at an address where no door answers: Akka only keeps trying. Opens a connection
 * and begins it as Artery does; a node then waits for more, anything else shows what it is.
 */
final class SeedProbe {
  /** How an Artery connection begins: its magic, and the number of the stream for messages. */
  private static final byte[] GREETING = "AKKA\u0002".getBytes(StandardCharsets.US_ASCII);

  private static final int CONNECT_TIMEOUT_MS = 1000;

  /** Within that a stranger has answered or hung up, on any network that can bear training. */
  private static final int ANSWER_TIMEOUT_MS = 400;

  private static final int TLS_HANDSHAKE_TIMEOUT_MS = 2000;

  private final Optional<SSLContext> tls;

  /**
   * @param tlsDirectory as in {@code cluster.tls_directory}
   */
  SeedProbe(String tlsDirectory) {
    this.tls =
        tlsDirectory.isEmpty() ? Optional.empty() : Optional.of(Tls.read(tlsDirectory).context());
  }

  /** What is there. */
  enum Kind {
    /** Nothing listens, or the host is not known (yet), or not reached. */
    NOBODY,
    /** Someone who could be a node. */
    LISTENER,
    /** Someone who is none, or whose TLS settings do not fit ours. */
    STRANGER
  }

  /**
   * The answer of a probe.
   *
   * @param why for people: what it does there
   */
  record Finding(Kind kind, String why) {}

  /** Looks, for three seconds at most; blocks. */
  Finding probe(String address) {
    InetSocketAddress target = socketAddress(address);
    if (target.isUnresolved()) {
      return new Finding(Kind.NOBODY, "host unknown");
    }
    try (Socket socket = new Socket()) {
      socket.connect(target, CONNECT_TIMEOUT_MS);
      return tls.isPresent() ? greetInTls(socket, target) : greet(socket, target);
    } catch (SocketTimeoutException | NoRouteToHostException e) {
      return new Finding(Kind.NOBODY, "host not reached");
    } catch (ConnectException e) {
      return new Finding(Kind.NOBODY, "nobody listens");
    } catch (IOException e) {
      return new Finding(Kind.NOBODY, String.valueOf(e.getMessage()));
    }
  }

  /** {@code HOST:PORT}, resolved if that is possible now. */
  static InetSocketAddress socketAddress(String address) {
    int colon = address.lastIndexOf(':');
    return new InetSocketAddress(
        address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)));
  }

  private static Finding greet(Socket socket, InetSocketAddress target) {
    String stranger;
    try {
      stranger = answer(socket) < 0 ? "it hangs up" : "it answers otherwise";
    } catch (SocketTimeoutException e) {
      return new Finding(Kind.LISTENER, "silent");
    } catch (IOException e) {
      stranger = "it hangs up";
    }
    return speaksTls(target)
        ? new Finding(Kind.STRANGER, "speaks TLS, this node does not (cluster.tls_directory)")
        : new Finding(Kind.STRANGER, "is not Troupe: " + stranger);
  }

  /** Akka's TLS hangs up on plain text without a word, so it is spoken to once more in TLS. */
  private static boolean speaksTls(InetSocketAddress target) {
    try (Socket socket = new Socket()) {
      socket.connect(target, CONNECT_TIMEOUT_MS);
      SSLContext anyone = SSLContext.getDefault();
      try (SSLSocket secure = secured(anyone, socket, target)) {
        secure.startHandshake();
        return true;
      }
    } catch (SSLException e) {
      return isAboutTrust(e);
    } catch (IOException | NoSuchAlgorithmException e) {
      return false;
    }
  }

  private static SSLSocket secured(SSLContext tls, Socket socket, InetSocketAddress target)
      throws IOException {
    SSLSocket secure =
        (SSLSocket)
            tls.getSocketFactory()
                .createSocket(socket, target.getHostString(), target.getPort(), true);
    secure.setSoTimeout(TLS_HANDSHAKE_TIMEOUT_MS);
    return secure;
  }

  /** Both sides spoke TLS, and one of them did not like the other's certificate. */
  private static boolean isAboutTrust(SSLException e) {
    String text = String.valueOf(e.getMessage());
    return text.contains("PKIX") || text.contains("certif") || text.contains("alert");
  }

  private Finding greetInTls(Socket socket, InetSocketAddress target) {
    boolean shaken = false;
    try (SSLSocket secure = secured(tls.orElseThrow(), socket, target)) {
      secure.startHandshake();
      shaken = true;
      answer(secure);
      return new Finding(Kind.STRANGER, "is not Troupe: it hangs up");
    } catch (SocketTimeoutException e) {
      return new Finding(Kind.LISTENER, shaken ? "silent" : "silent, not even in TLS");
    } catch (SSLException e) {
      String text = String.valueOf(e.getMessage());
      if (shaken || text.contains("alert")) {
        return new Finding(Kind.STRANGER, "does not trust this node's certificate: " + text);
      }
      if (isAboutTrust(e)) {
        return new Finding(Kind.STRANGER, "has a certificate of another CA: " + text);
      }
      return new Finding(Kind.STRANGER, "does not speak TLS: " + text);
    } catch (IOException e) {
      return new Finding(
          Kind.STRANGER,
          shaken
              ? "does not trust this node's certificate: it hangs up"
              : "does not speak TLS: it hangs up");
    }
  }

  /** The first byte of the answer, or -1 if the other side hung up. */
  private static int answer(Socket socket) throws IOException {
    socket.setSoTimeout(ANSWER_TIMEOUT_MS);
    socket.getOutputStream().write(GREETING);
    socket.getOutputStream().flush();
    InputStream in = socket.getInputStream();
    return in.read();
  }
}
