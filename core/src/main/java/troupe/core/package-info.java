/** What every module needs to speak to the user. */
package troupe.core;
