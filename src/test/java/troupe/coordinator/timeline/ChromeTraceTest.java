package troupe.coordinator.timeline;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.gson.JsonArray;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.StringWriter;
import java.util.List;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.cuda.GpuRecording;
import troupe.core.tensor.cuda.driver.GpuActivity;
import troupe.core.tensor.cuda.driver.GpuActivity.Kind;

class ChromeTraceTest {
  private static final long BEGAN_NS = 1_795_739_581_059_455_000L;

  private static String trace(GpuActivity... activities) throws IOException {
    StringWriter text = new StringWriter();
    ChromeTrace.write(
        new GpuRecording(List.of(activities), BEGAN_NS, BEGAN_NS + 50_000_000_000L, 0),
        BEGAN_NS,
        text);
    return text.toString();
  }

  @Test
  void shouldWriteProcessesThreadsAndWhatRan() throws IOException {
    String text =
        trace(
            new GpuActivity(
                Kind.COPY,
                "copy to host",
                1,
                14,
                BEGAN_NS + 40_000_000_123L,
                BEGAN_NS + 40_000_002_125L,
                4096),
            new GpuActivity(Kind.KERNEL, "adamw", 0, 7, BEGAN_NS - 5, BEGAN_NS + 1_000, 0));
    assertEquals(
        """
        [
        {"name":"process_name","ph":"M","pid":0,"tid":0,"args":{"name":"cuda:0"}},
        {"name":"thread_name","ph":"M","pid":0,"tid":7,"args":{"name":"stream 7"}},
        {"name":"process_name","ph":"M","pid":1,"tid":0,"args":{"name":"cuda:1"}},
        {"name":"thread_name","ph":"M","pid":1,"tid":14,"args":{"name":"stream 14"}},
        {"name":"adamw","cat":"kernel","ph":"X","pid":0,"tid":7,"ts":-0.005,"dur":1.005},
        {"name":"copy to host","cat":"copy","ph":"X","pid":1,"tid":14,"ts":40000000.123,"dur":2.002,"args":{"bytes":4096}}
        ]
        """,
        text);
    JsonArray events = JsonParser.parseString(text).getAsJsonArray();
    assertEquals(6, events.size());
  }

  @Test
  void shouldWriteAnEmptyListWhereNothingRan() throws IOException {
    assertEquals(0, JsonParser.parseString(trace()).getAsJsonArray().size());
  }
}
