/** Tests of all modules; packages mirror those they test. */
package troupe;
