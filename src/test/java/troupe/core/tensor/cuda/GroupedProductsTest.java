package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import troupe.core.tensor.cuda.GroupedProducts.Kind;
import troupe.core.tensor.cuda.GroupedProducts.Product;

/** When products that are asked for at once are worth a launch of their own. */
class GroupedProductsTest {
  private static final int MULTIPROCESSORS = 132;

  @ParameterizedTest(name = "{0}")
  @CsvSource(
      textBlock =
          """
          qkv and proj of d 1024: 64 pairs of tiles on 66 pairs,      1024x3072 1024x1024,   true
          qkv alone: 48 of 66,                                        1024x3072,             false
          d 2048: 256 of 264,                                         2048x6144 2048x2048,   true
          d 768: 36 of 66,                                            768x2304 768x768,      false
          the two layers of a network of d 1024: 128 of 132,          1024x4096 4096x1024,   true
          50 of 66,                                                   128x25600,             true
          49 of 66,                                                   128x25088,             false
          one more than fits at once,                                 128x33793,             false
          a row of tiles too many: 33 and 17,                         384x8448,              true
          parts of tiles,                                             129x12545,             true
          """)
  void shouldFillThreeQuartersOfTheTimeThatALaunchTakes(String name, String sizes, boolean fill) {
    List<Product> products = new ArrayList<>();
    for (String size : sizes.split(" ")) {
      String[] sides = size.split("x");
      products.add(gradient(Integer.parseInt(sides[0]), Integer.parseInt(sides[1])));
    }
    assertEquals(fill, GroupedProducts.fill(products, MULTIPROCESSORS));
  }

  private static Product gradient(int rows, int columns) {
    return new Product(Kind.TN, 0, 0, rows, columns, 64, 0, 0, 0, 0, true, 0);
  }
}
