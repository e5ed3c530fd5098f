/** What hosts hold, and the plans made of it. */
package troupe.coordinator.host;
