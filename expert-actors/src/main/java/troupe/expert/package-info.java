/** Experts as actors: feed-forward network, optimizer state, protocol, restart. */
package troupe.expert;
