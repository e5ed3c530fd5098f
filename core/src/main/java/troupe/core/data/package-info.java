/**
 * Text as tokens: where it comes from, how it is split into training and validation, and which of
 * it a step sees.
 *
 * <p>{@code Corpus} opens the source that a config names, a {@code Tokenizer} turns its {@code
 * Text} into {@code TokenStream}s, and {@code Batches} cuts sequences out of a stream as a pure
 * function of seed, step and place.
 */
package troupe.core.data;
