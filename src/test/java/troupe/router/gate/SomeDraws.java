package troupe.router.gate;

/** Draws of some purposes alone: those that nobody was meant to ask for throw. */
interface SomeDraws extends Draws {
  @Override
  default double exponential(int token, int expert, int round) {
    throw new UnsupportedOperationException("exponential");
  }

  @Override
  default double coin(int token, int round) {
    throw new UnsupportedOperationException("coin");
  }

  @Override
  default double scale(int token, int round) {
    throw new UnsupportedOperationException("scale");
  }

  @Override
  default double noise(int token, int expert) {
    throw new UnsupportedOperationException("noise");
  }

  @Override
  default double inputNoise(int token, int channel) {
    throw new UnsupportedOperationException("inputNoise");
  }

  @Override
  default double priority(int token) {
    throw new UnsupportedOperationException("priority");
  }
}
