package troupe.coordinator.lab;

import java.util.SplittableRandom;

/**
 * Points in clusters, each with a line of its own: {@code target = a_c x + b_c + noise} for the
 * points x of cluster c. There are as many clusters as experts, so one expert each is the way to
 * divide the points without a rest; whether experts of even capacity can is a matter of {@link
 * Sizes}.
 *
 * <p>A task of this project's own, in the spirit of the experiment of Kool, Maddison and Mnih
 * (arXiv 2109.11817), whose own data nobody has published.
 *
 * @param x_TD coordinates of the points, and a one for the bias
 */
record ClusterTask(double[][] x_TD, double[] target_T) {
  /** How large clusters are. */
  enum Sizes {
    /** All alike: capacity asks for nothing that the task does not. */
    EVEN,
    /** As k, k - 1, ..., 1: the largest are more than an expert of even capacity takes. */
    UNEVEN
  }

  private static final double SPREAD = 0.4;
  private static final double RADIUS = 2;

  /** Clusters lie evenly on a circle; points are in an order that says nothing about clusters. */
  static ClusterTask random(int points, int clusters, Sizes sizes, double noise, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int[] cluster_T = clusters(points, clusters, sizes);
    double[][] line_CD = Gaussians.matrix(clusters, 3, 1, random);
    double[][] x_TD = new double[points][];
    double[] target_T = new double[points];
    for (int t = 0; t < points; t++) {
      int c = cluster_T[t];
      double angle = 2 * Math.PI * c / clusters;
      x_TD[t] =
          new double[] {
            RADIUS * Math.cos(angle) + SPREAD * random.nextGaussian(),
            RADIUS * Math.sin(angle) + SPREAD * random.nextGaussian(),
            1
          };
      target_T[t] = Objective.dot(line_CD[c], x_TD[t]) + noise * random.nextGaussian();
    }
    shuffle(x_TD, target_T, random);
    return new ClusterTask(x_TD, target_T);
  }

  private static int[] clusters(int points, int clusters, Sizes sizes) {
    int[] cluster_T = new int[points];
    double all = clusters * (clusters + 1) / 2.0;
    double end = 0;
    int t = 0;
    for (int c = 0; c < clusters; c++) {
      end += points * (sizes == Sizes.EVEN ? 1.0 / clusters : (clusters - c) / all);
      for (; t < Math.round(end); t++) {
        cluster_T[t] = c;
      }
    }
    return cluster_T;
  }

  private static void shuffle(double[][] x_TD, double[] target_T, SplittableRandom random) {
    for (int t = target_T.length - 1; t > 0; t--) {
      int other = random.nextInt(t + 1);
      double[] x_D = x_TD[t];
      x_TD[t] = x_TD[other];
      x_TD[other] = x_D;
      double target = target_T[t];
      target_T[t] = target_T[other];
      target_T[other] = target;
    }
  }

  int points() {
    return target_T.length;
  }
}
