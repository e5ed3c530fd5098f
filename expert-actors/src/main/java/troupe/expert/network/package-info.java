/** What an expert computes, without actors: its parameters, and the work of one step on them. */
package troupe.expert.network;
