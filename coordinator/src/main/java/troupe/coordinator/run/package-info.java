/** A run put together: device, states, data plane, actors, run folder. */
package troupe.coordinator.run;
