/** One router a rank: trunk, gates, dispatch and combine. */
package troupe.router;
