package troupe.router.gate;

import java.util.Arrays;

/**
 * The auction that BASE assigns tokens with (facebookresearch/fairseq@3d262bb,
 * balanced_assignment.cpp): experts bid for tokens until each of E experts has exactly k of the E k
 * tokens. Nearly the assignment of the largest total score, not always that one: {@code epsilon =
 * max((largest - least score) / 50, 1e-4)} is the price of an early end.
 *
 * <p>In a round every expert lists the k tokens with the largest {@code score - price} and bids
 * what it gains by one over the best token that it does not list, plus epsilon; the highest bid for
 * a token wins it, the first expert on ties, and becomes dearer by it. While the round is below 100
 * a won token stays on its winner's list, where it stands for a bid of epsilon; later it stays by
 * its score without the price. It ends when every token has a bid: each is on exactly one list
 * then.
 *
 * <p>The authors' code looks at all scores in every round. Prices only rise, so a token that is not
 * among an expert's M best at some time is still worse than the M-th was then: as long as a list is
 * filled with tokens that are not, those M candidates are enough, and the rest is looked at only
 * when they are not. Same bids, same result, a round of O(E M) instead of O(T E).
 *
 * <p>Where scores tie in hundreds of experts no end is in sight for as many rounds; after {@link
 * #MAX_ROUNDS} tokens stay with their highest bidders, and the others take what is left, greedily.
 */
final class Auction {
  private static final int HOLDING_ROUNDS = 100;
  private static final int MAX_ROUNDS = 2000;
  private static final double EPSILON_SHARE = 1 / 50.0;
  private static final double MIN_EPSILON = 1e-4;

  /** Four lists long: rounds between looking at everything are many, and few numbers to look at. */
  private static final int CANDIDATES_PER_PLACE = 4;

  private static final int MIN_CANDIDATES = 64;

  private final double[] score_TE;
  private final int[] token_J;
  private final int experts;
  private final int jobs;
  private final int perExpert;
  private final double epsilon;
  private final double highest;
  private final double[] price_J;

  /** The winner of the last round, -1 for a token without a bid, and every expert's tokens. */
  private final int[] winner_J;

  private final int[] held_EK;
  private final int[] numHeld_E;

  private final int candidates;
  private final int[] candidate_EM;
  private final double[] score_EM;
  private final double[] bound_E;
  private final int[] boundJob_E;
  private final TopSelection list;
  private final TopSelection[] rebuilt_E;
  private int round;

  /**
   * Ready to assign.
   *
   * @param score_TE finite scores of all tokens
   * @param token_J the tokens to assign, a multiple of the experts, at least two of which there are
   */
  Auction(double[] score_TE, int[] token_J, int experts) {
    this.score_TE = score_TE;
    this.token_J = token_J;
    this.experts = experts;
    this.jobs = token_J.length;
    this.perExpert = jobs / experts;
    double most = Double.NEGATIVE_INFINITY;
    double least = Double.POSITIVE_INFINITY;
    for (int token : token_J) {
      for (int i = token * experts; i < (token + 1) * experts; i++) {
        most = Math.max(most, score_TE[i]);
        least = Math.min(least, score_TE[i]);
      }
    }
    this.highest = most;
    this.epsilon = Math.max((most - least) * EPSILON_SHARE, MIN_EPSILON);
    this.price_J = new double[jobs];
    this.winner_J = new int[jobs];
    Arrays.fill(winner_J, -1);
    this.held_EK = new int[jobs];
    this.numHeld_E = new int[experts];
    this.candidates =
        Math.min(jobs, Math.max(MIN_CANDIDATES, CANDIDATES_PER_PLACE * (perExpert + 1)));
    this.candidate_EM = new int[experts * candidates];
    this.score_EM = new double[experts * candidates];
    this.bound_E = new double[experts];
    this.boundJob_E = new int[experts];
    this.list = new TopSelection(perExpert + 1);
    this.rebuilt_E = new TopSelection[experts];
  }

  /** The expert of each of the tokens. */
  int[] assign() {
    if (jobs == 0) {
      return winner_J;
    }
    int[] all_E = new int[experts];
    Arrays.setAll(all_E, e -> e);
    lookAtEverything(all_E, experts);
    double[] bid_J = new double[jobs];
    int[] bidder_J = new int[jobs];
    int[] stale_E = new int[experts];
    for (; round < MAX_ROUNDS; round++) {
      Arrays.fill(bid_J, 0);
      Arrays.fill(bidder_J, -1);
      int stale = 0;
      for (int expert = 0; expert < experts; expert++) {
        if (fillList(expert)) {
          bid(expert, bid_J, bidder_J);
        } else {
          stale_E[stale++] = expert;
        }
      }
      lookAtEverything(stale_E, stale);
      for (int i = 0; i < stale; i++) {
        fillList(stale_E[i]);
        bid(stale_E[i], bid_J, bidder_J);
      }
      System.arraycopy(bidder_J, 0, winner_J, 0, jobs);
      if (hold(bid_J)) {
        return winner_J;
      }
    }
    assignTheRest();
    return winner_J;
  }

  /**
   * The k + 1 tokens that are worth most to an expert: what it holds first, while that is to last,
   * then candidates.
   *
   * @return whether no token but the candidates can be better than the worst of the list
   */
  private boolean fillList(int expert) {
    list.clear();
    for (int i = 0; i < numHeld_E[expert]; i++) {
      int job = held_EK[expert * perExpert + i];
      list.offer(round <= HOLDING_ROUNDS ? Double.POSITIVE_INFINITY : score(job, expert), job);
    }
    int from = expert * candidates;
    for (int i = from; i < from + candidates; i++) {
      int job = candidate_EM[i];
      double value = score_EM[i] - price_J[job];
      if ((!list.isFull() || value >= list.worst()) && winner_J[job] != expert) {
        list.offer(value, job);
      }
    }
    double worst = list.worst();
    return candidates == jobs
        || list.isFull()
            && (worst > bound_E[expert]
                || worst == bound_E[expert] && list.worstIndex() <= boundJob_E[expert]);
  }

  private void bid(int expert, double[] bid_J, int[] bidder_J) {
    // The list's worst is the best token that is not listed; nobody else than the heap knows it.
    double next = list.worst();
    for (int i = 1; i < list.size(); i++) {
      int job = list.index(i);
      boolean held = winner_J[job] == expert;
      double bid =
          held && round < HOLDING_ROUNDS
              ? epsilon
              : (held && round == HOLDING_ROUNDS ? highest : list.value(i)) - next + epsilon;
      if (bid > bid_J[job] || bid == bid_J[job] && expert < bidder_J[job]) {
        bid_J[job] = bid;
        bidder_J[job] = expert;
      }
    }
  }

  /** Raises prices and hands tokens to their winners; returns whether every token has one. */
  private boolean hold(double[] bid_J) {
    boolean all = true;
    Arrays.fill(numHeld_E, 0);
    for (int job = 0; job < jobs; job++) {
      int winner = winner_J[job];
      if (winner < 0) {
        all = false;
        continue;
      }
      price_J[job] += bid_J[job];
      held_EK[winner * perExpert + numHeld_E[winner]++] = job;
    }
    return all;
  }

  private double score(int job, int expert) {
    return score_TE[token_J[job] * experts + expert];
  }

  /** Finds the candidates of some experts anew, token by token as the scores lie in memory. */
  private void lookAtEverything(int[] which_E, int count) {
    if (count == 0) {
      return;
    }
    for (int i = 0; i < count; i++) {
      if (rebuilt_E[which_E[i]] == null) {
        rebuilt_E[which_E[i]] = new TopSelection(candidates);
      }
      rebuilt_E[which_E[i]].clear();
    }
    double[] least_E = new double[experts];
    Arrays.fill(least_E, Double.NEGATIVE_INFINITY);
    for (int job = 0; job < jobs; job++) {
      int from = token_J[job] * experts;
      for (int i = 0; i < count; i++) {
        int expert = which_E[i];
        double value = score_TE[from + expert] - price_J[job];
        if (value > least_E[expert]) {
          TopSelection rebuilt = rebuilt_E[expert];
          rebuilt.offer(value, job);
          if (rebuilt.isFull()) {
            least_E[expert] = rebuilt.worst();
          }
        }
      }
    }
    for (int i = 0; i < count; i++) {
      int expert = which_E[i];
      TopSelection rebuilt = rebuilt_E[expert];
      bound_E[expert] = rebuilt.worst();
      boundJob_E[expert] = rebuilt.worstIndex();
      for (int c = 0; c < candidates; c++) {
        candidate_EM[expert * candidates + c] = rebuilt.index(c);
        score_EM[expert * candidates + c] = score(rebuilt.index(c), expert);
      }
    }
  }

  private void assignTheRest() {
    for (int job = 0; job < jobs; job++) {
      if (winner_J[job] >= 0) {
        continue;
      }
      int best = -1;
      for (int expert = 0; expert < experts; expert++) {
        if (numHeld_E[expert] < perExpert && (best < 0 || score(job, expert) > score(job, best))) {
          best = expert;
        }
      }
      winner_J[job] = best;
      numHeld_E[best]++;
    }
  }
}
