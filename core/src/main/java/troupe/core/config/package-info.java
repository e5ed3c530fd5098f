/** The configuration of a run: one record a section, validated where it is built. */
package troupe.core.config;
