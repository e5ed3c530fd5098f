package troupe.coordinator.wire;

import akka.actor.typed.ActorSystem;
import akka.actor.typed.javadsl.Behaviors;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;

/** Actor systems on free ports of this machine, with the settings that ship. */
final class WireSystems {
  private WireSystems() {}

  static ActorSystem<Void> start(String name, String... settings) {
    Config config =
        ConfigFactory.parseString(
                String.join("\n", settings)
                    + """

                    akka.actor.provider = remote
                    akka.remote.artery.canonical { hostname = "127.0.0.1", port = 0 }
                    """)
            .withFallback(ConfigFactory.load());
    return ActorSystem.create(Behaviors.empty(), name, config);
  }
}
