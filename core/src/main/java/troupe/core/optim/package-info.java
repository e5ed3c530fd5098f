/** The optimizer of an owner of parameters, and the learning-rate schedule. */
package troupe.core.optim;
