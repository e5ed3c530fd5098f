package troupe.coordinator.cluster;

import akka.pki.pem.DERPrivateKeyLoader;
import akka.pki.pem.PEMDecoder;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateNotYetValidException;
import java.security.cert.X509Certificate;
import java.security.interfaces.RSAKey;
import java.util.Map;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import troupe.core.UserException;

/**
 * The folder of mutual TLS: {@code ca.crt}, {@code node.crt}, signed by that CA, and {@code
 * node.key}, in PEM; an RSA key, for Akka reads no other kind. Checked before Akka reads it, which
 * would only log what is wrong at the first connection.
 */
final class Tls {
  private static final String CA = "ca.crt";
  private static final String CERTIFICATE = "node.crt";
  private static final String KEY = "node.key";
  private static final String HINT =
      "scripts/make-test-certificates DIR makes a folder with "
          + CA
          + ", "
          + CERTIFICATE
          + " and "
          + KEY;
  private static final String ENGINE = "akka.remote.artery.ssl.rotating-keys-engine.";

  private final Path directory;
  private final X509Certificate ca;
  private final X509Certificate certificate;
  private final PrivateKey key;

  private Tls(Path directory) {
    this.directory = directory;
    this.ca = certificate(CA);
    this.certificate = certificate(CERTIFICATE);
    this.key = key();
  }

  /**
   * Reads and checks the folder.
   *
   * @throws UserException if a file is missing or unreadable, a certificate is out of date or not
   *     of the CA, or the key belongs to another certificate
   */
  static Tls read(String directory) {
    Tls tls = new Tls(Path.of(directory).toAbsolutePath());
    tls.check();
    return tls;
  }

  /** What makes Artery speak TLS with these files. */
  Map<String, Object> akkaSettings() {
    return Map.of(
        "akka.remote.artery.transport",
        "tls-tcp",
        "akka.remote.artery.ssl.ssl-engine-provider",
        "akka.remote.artery.tcp.ssl.RotatingKeysSSLEngineProvider",
        ENGINE + "ca-cert-file",
        directory.resolve(CA).toString(),
        ENGINE + "cert-file",
        directory.resolve(CERTIFICATE).toString(),
        ENGINE + "key-file",
        directory.resolve(KEY).toString());
  }

  /** For connections of our own, with the same trust. */
  SSLContext context() {
    try {
      char[] password = new char[0];
      KeyStore own = KeyStore.getInstance("PKCS12");
      own.load(null, password);
      own.setKeyEntry("node", key, password, new Certificate[] {certificate, ca});
      KeyManagerFactory keys =
          KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      keys.init(own, password);
      KeyStore trusted = KeyStore.getInstance("PKCS12");
      trusted.load(null, password);
      trusted.setCertificateEntry("ca", ca);
      TrustManagerFactory trust =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      trust.init(trusted);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
      return context;
    } catch (GeneralSecurityException | IOException e) {
      throw mistake(CERTIFICATE, "cannot be used: " + e.getMessage(), "a certificate for TLS", e);
    }
  }

  private void check() {
    validity(CA, ca);
    validity(CERTIFICATE, certificate);
    try {
      certificate.verify(ca.getPublicKey());
    } catch (GeneralSecurityException e) {
      throw mistake(CERTIFICATE, "is not signed by " + CA, "one that is", e);
    }
    if (!(certificate.getPublicKey() instanceof RSAKey half)
        || !(key instanceof RSAKey other)
        || !half.getModulus().equals(other.getModulus())) {
      throw mistake(KEY, "is the key of another certificate", "that of " + CERTIFICATE, null);
    }
  }

  private void validity(String name, X509Certificate certificate) {
    try {
      certificate.checkValidity();
    } catch (CertificateExpiredException e) {
      throw mistake(name, "expired on " + certificate.getNotAfter(), "one that is valid now", e);
    } catch (CertificateNotYetValidException e) {
      throw mistake(
          name, "is valid from " + certificate.getNotBefore(), "one that is valid now", e);
    }
  }

  private X509Certificate certificate(String name) {
    try {
      byte[] pem = text(name).getBytes(StandardCharsets.US_ASCII);
      return (X509Certificate)
          CertificateFactory.getInstance("X.509")
              .generateCertificate(new ByteArrayInputStream(pem));
    } catch (GeneralSecurityException e) {
      throw mistake(name, "is no certificate: " + e.getMessage(), "PEM, X.509", e);
    }
  }

  private PrivateKey key() {
    try {
      return DERPrivateKeyLoader.load(PEMDecoder.decode(text(KEY)));
    } catch (UserException e) {
      throw e;
    } catch (Exception e) {
      // Not only PEMLoadingException: Scala does not declare what it throws.
      throw mistake(KEY, "is no such key: " + e.getMessage(), "PEM, RSA, unencrypted", e);
    }
  }

  private String text(String name) {
    try {
      return Files.readString(directory.resolve(name), StandardCharsets.US_ASCII);
    } catch (NoSuchFileException e) {
      throw mistake(name, "is missing", "a PEM file", e);
    } catch (IOException e) {
      throw mistake(name, "cannot be read: " + e, "a PEM file", e);
    }
  }

  private UserException mistake(String name, String found, String expected, Exception cause) {
    return new UserException(
        "cluster.tls_directory: "
            + directory.resolve(name)
            + " "
            + found
            + " (expected: "
            + expected
            + ")",
        HINT,
        cause);
  }
}
