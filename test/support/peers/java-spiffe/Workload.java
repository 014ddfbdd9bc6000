// A workload that gets its identity from the SPIFFE Workload API with java-spiffe, as programs do that know nothing of
// Weft. Each line of its output is a JSON object.

import com.nimbusds.jose.util.JSONObjectUtils;
import io.spiffe.bundle.x509bundle.X509Bundle;
import io.spiffe.provider.SpiffeSslContextFactory;
import io.spiffe.provider.SpiffeSslContextFactory.SslContextOptions;
import io.spiffe.spiffeid.SpiffeId;
import io.spiffe.svid.jwtsvid.JwtSvid;
import io.spiffe.svid.x509svid.X509Svid;
import io.spiffe.svid.x509svid.X509SvidValidator;
import io.spiffe.workloadapi.DefaultJwtSource;
import io.spiffe.workloadapi.DefaultWorkloadApiClient;
import io.spiffe.workloadapi.DefaultX509Source;
import io.spiffe.workloadapi.JwtSource;
import io.spiffe.workloadapi.WorkloadApiClient;
import io.spiffe.workloadapi.X509Source;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.cert.X509Certificate;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;

public final class Workload {
  private static void say(Object... pairs) {
    Map<String, Object> fields = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) fields.put((String) pairs[i], pairs[i + 1]);
    System.out.println(JSONObjectUtils.toJSONString(fields));
  }

  /** The certificates as they come, so many. */
  private static void watch(int count) throws Exception {
    try (X509Source source = DefaultX509Source.newSource()) {
      X509Svid last = null;
      for (int seen = 0; seen < count; ) {
        X509Svid svid = source.getX509Svid();
        if (svid == last) {
          Thread.sleep(50);
          continue;
        }
        last = svid;
        seen++;
        X509Bundle bundle = source.getBundleForTrustDomain(svid.getSpiffeId().getTrustDomain());
        X509SvidValidator.verifyChain(svid.getChain(), source);
        say("svid", svid.getSpiffeId().toString(), "serial", svid.getLeaf().getSerialNumber().toString(16),
            "key", svid.getPrivateKey().getAlgorithm(), "format", svid.getPrivateKey().getFormat(),
            "domain", bundle.getTrustDomain().getName(), "anchors", bundle.getX509Authorities().size());
      }
    }
  }

  /** Gets a token, validates it with the bundle and asks the Workload API to validate it, too. */
  private static void jwt(String audience) throws Exception {
    try (JwtSource source = DefaultJwtSource.newSource(); WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
      JwtSvid svid = source.fetchJwtSvid(audience, "another");
      JwtSvid parsed = JwtSvid.parseAndValidate(svid.getToken(), source, Set.of(audience));
      JwtSvid asked = client.validateJwtSvid(svid.getToken(), audience);
      boolean refused = false;
      try {
        client.validateJwtSvid(svid.getToken(), "somebody-else");
      } catch (Exception error) {
        refused = true;
      }
      say("jwt", parsed.getSpiffeId().toString(), "asked", asked.getSpiffeId().toString(),
          "audience", parsed.getAudience().stream().sorted().toList(),
          "lifeSeconds", (parsed.getExpiry().getTime() - System.currentTimeMillis()) / 1000, "refusedElsewhere", refused);
    }
  }

  private static SSLContext context(X509Source source, String peer) throws Exception {
    Set<SpiffeId> accepted = Set.of(SpiffeId.parse(peer));
    return SpiffeSslContextFactory.getSslContext(
        SslContextOptions.builder().sslProtocol("TLSv1.3").x509Source(source).acceptedSpiffeIdsSupplier(() -> accepted).build());
  }

  /** Sends words over mutual TLS to whoever has the identity of a peer, and says what came back. */
  private static void dial(String address, String peer, String alpn, String words) throws Exception {
    int colon = address.lastIndexOf(':');
    try (X509Source source = DefaultX509Source.newSource();
        SSLSocket socket = (SSLSocket) context(source, peer).getSocketFactory()
            .createSocket(address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)))) {
      SSLParameters parameters = socket.getSSLParameters();
      parameters.setProtocols(new String[] {"TLSv1.3"});
      if (!alpn.isEmpty()) parameters.setApplicationProtocols(new String[] {alpn});
      socket.setSSLParameters(parameters);
      socket.startHandshake();
      socket.getOutputStream().write(words.getBytes(StandardCharsets.US_ASCII));
      String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      say("answer", answer, "version", socket.getSession().getProtocol(), "alpn", socket.getApplicationProtocol());
    }
  }

  /** Greets each peer of an identity by a line. */
  private static void serve(String port, String peer) throws Exception {
    try (X509Source source = DefaultX509Source.newSource();
        SSLServerSocket server = (SSLServerSocket) context(source, peer).getServerSocketFactory()
            .createServerSocket(Integer.parseInt(port))) {
      server.setNeedClientAuth(true);
      say("listening", port);
      while (true) {
        try (SSLSocket socket = (SSLSocket) server.accept()) {
          socket.startHandshake();
          X509Certificate leaf = (X509Certificate) socket.getSession().getPeerCertificates()[0];
          String name = (String) leaf.getSubjectAlternativeNames().iterator().next().get(1);
          socket.getOutputStream().write(("hello " + name + "\n").getBytes(StandardCharsets.US_ASCII));
        } catch (IOException error) {
          say("refused", String.valueOf(error.getMessage()));
        }
      }
    }
  }

  public static void main(String[] args) {
    try {
      switch (args[0]) {
        case "watch" -> watch(Integer.parseInt(args[1]));
        case "jwt" -> jwt(args[1]);
        case "dial" -> dial(args[1], args[2], args[3], args[4]);
        case "serve" -> serve(args[1], args[2]);
        default -> throw new IllegalArgumentException("no such mode: " + args[0]);
      }
    } catch (Exception error) {
      say("error", String.valueOf(error));
      System.exit(1);
    }
    System.exit(0);
  }
}
