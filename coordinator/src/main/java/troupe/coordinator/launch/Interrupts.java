package troupe.coordinator.launch;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Ctrl-C while a cluster runs, as often as it is pressed. A shutdown hook would hear only the
 * first; it is there for the other signals that end a JVM.
 */
public final class Interrupts implements AutoCloseable {
  /** How long a JVM that is told to end waits for its nodes to write their checkpoint. */
  private static final Duration STOP_TIMEOUT = Duration.ofMinutes(2);

  private final Runnable onInterrupt;
  private final CountDownLatch ended = new CountDownLatch(1);
  private final Thread hook = new Thread(this::onShutdown, "interrupt");
  private final Object signalBefore;

  private Interrupts(Runnable onInterrupt) {
    this.onInterrupt = onInterrupt;
    this.signalBefore = handle(onInterrupt);
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /**
   * Calls {@code onInterrupt} at every SIGINT until it is closed, and once if the JVM is ended by
   * another signal, which then waits until this is closed.
   */
  public static Interrupts handledBy(Runnable onInterrupt) {
    return new Interrupts(onInterrupt);
  }

  @Override
  public void close() {
    ended.countDown();
    if (signalBefore != null) {
      install(signalBefore);
    }
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // Going down already: the hook is what waits for this.
    }
  }

  private void onShutdown() {
    if (ended.getCount() == 0) {
      return;
    }
    onInterrupt.run();
    try {
      if (!ended.await(STOP_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS)) {
        onInterrupt.run();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  // sun.misc.Signal is one of the internal types that the JDK exports to everybody (JEP 260), but
  // javac warns of each mention, which nothing can turn off.

  private static Object handle(Runnable onSignal) {
    try {
      Class<?> handlerType = Class.forName("sun.misc.SignalHandler");
      InvocationHandler invocation =
          (proxy, method, arguments) ->
              switch (method.getName()) {
                case "handle" -> {
                  // One thread a signal: the second must not wait for what the first asked for.
                  Thread.ofPlatform().daemon().name("interrupt").start(onSignal);
                  yield null;
                }
                case "hashCode" -> System.identityHashCode(proxy);
                case "equals" -> proxy == arguments[0];
                default -> "interrupts";
              };
      return install(
          Proxy.newProxyInstance(
              Interrupts.class.getClassLoader(), new Class<?>[] {handlerType}, invocation));
    } catch (ClassNotFoundException e) {
      return null;
    }
  }

  private static Object install(Object handler) {
    try {
      Class<?> signalType = Class.forName("sun.misc.Signal");
      Class<?> handlerType = Class.forName("sun.misc.SignalHandler");
      Object signal = signalType.getConstructor(String.class).newInstance("INT");
      Method handle = signalType.getMethod("handle", signalType, handlerType);
      return handle.invoke(null, signal, handler);
    } catch (ReflectiveOperationException e) {
      // A JVM without it, or started with -Xrs: the shutdown hook still hears the first.
      return null;
    }
  }
}
