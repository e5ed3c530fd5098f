package troupe.core.tensor.cuda;

/** Memory of a GPU for one piece of work, freed behind what was asked for until then. */
record Scratch(GpuMemory memory, long address) implements AutoCloseable {
  @Override
  public void close() {
    memory.free(address);
  }
}
