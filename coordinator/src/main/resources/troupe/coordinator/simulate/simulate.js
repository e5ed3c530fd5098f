(function () {
  'use strict';

  const { data, color, compact, draw, frame } = page;
  const palette = ['blue', 'orange', 'green', 'purple', 'pink', 'teal', 'sand', 'grey'];
  const factors = data.routers[0].factors;

  function categories(labels, name, every) {
    return { type: 'category', data: labels, name, nameLocation: 'middle', nameGap: 28,
      nameTextStyle: { color: color('muted'), fontSize: 12 },
      axisLabel: Object.assign(every ? { interval: 0 } : { hideOverlap: true }, page.axisText()),
      axisLine: { lineStyle: { color: color('line') } }, axisTick: { show: false } };
  }

  function line(name, values, i, extra) {
    const own = color(palette[i % palette.length]);
    return Object.assign({ name, type: 'line', data: values, symbol: 'circle', symbolSize: 7,
      lineStyle: { width: 2, color: own }, itemStyle: { color: own }, emphasis: { disabled: true } }, extra);
  }

  /** A line for each router over the capacity factors. */
  function overFactors(id, key, unit, extra) {
    const option = frame('', data.routers.length > 1, { xAxis: categories(factors, 'capacity factor', factors.length <= 16) });
    option.grid.bottom = 46;
    option.yAxis.scale = false;
    option.tooltip.valueFormatter = value => compact(value) + ' ' + unit;
    option.series = data.routers.map((router, i) => line(router.name, router[key], i, i === 0 ? extra : {}));
    draw(document.getElementById(id), option, undefined);
  }

  function drawSorted() {
    const option = frame('', data.routers.length > 1, {
      xAxis: Object.assign(categories([], 'experts, %'), { type: 'value', min: 0, max: 100,
        splitLine: { show: false } }) });
    option.grid.bottom = 46;
    option.yAxis.scale = false;
    option.series = data.routers.map((router, i) => line(router.name, router.sorted, i, { showSymbol: false }));
    option.tooltip.formatter = points => points.map(p =>
      p.marker + p.seriesName + ': ' + p.value[0] + ' % of the experts have at least <b>' + p.value[1] + '</b>')
      .join('<br>');
    draw(document.getElementById('sorted'), option, undefined);
  }

  function drawParts(router) {
    const element = page.card(document.getElementById('parts'), router.name, 'part after part', 320);
    const option = frame('', true, { xAxis: categories(factors, 'capacity factor', factors.length <= 16) });
    option.grid.bottom = 46;
    option.grid.top = 64;
    option.legend.itemHeight = 8;
    option.legend.itemWidth = 12;
    option.legend.left = 12;
    option.yAxis.scale = false;
    option.tooltip.valueFormatter = value => compact(value) + ' ms';
    option.tooltip.axisPointer = { type: 'shadow' };
    option.series = Object.entries(router.parts).map(([part, values], i) => ({
      name: part, type: 'bar', stack: 'step', data: values, barMaxWidth: 56,
      itemStyle: { color: color(palette[i % palette.length]) }, emphasis: { disabled: true } }));
    draw(element, option, undefined);
  }

  /** What a row of neighbouring experts is called. */
  function expertsOf(row) {
    const first = row * data.expertsOfRow;
    return data.expertsOfRow === 1 ? String(first) : first + ' to ' + (first + data.expertsOfRow - 1);
  }

  function drawLoad(router, columns, layer, layers) {
    const rows = columns[0].length;
    const note = (layers > 1 ? 'layer ' + layer + ', ' : '') +
      (data.expertsOfRow === 1 ? rows + ' experts' : data.expertsOfRow + ' experts a row');
    const element = page.card(document.getElementById('load'), router.name, note,
      Math.min(420, Math.max(160, 14 * rows)) + 46);
    const cells = [];
    columns.forEach((column, step) => column.forEach((load, row) => cells.push([step, row, load])));
    draw(element, page.heatMap(data.stepNumbers, columns[0].map((load, row) => row * data.expertsOfRow), cells,
      'expert', step => compact(Number(step)), item => {
        const [step, row, load] = item.value;
        return 'expert ' + expertsOf(row) + ', step ' + data.stepNumbers[step] +
          '<br><b>' + load + ' \u00d7 an even share</b>';
      }), undefined);
  }

  function drawOverflow(router) {
    if (router.overflow.length === 0) return;
    const element = page.card(document.getElementById('overflow'), router.name,
      (data.expertsOfRow === 1 ? '' : data.expertsOfRow + ' experts a bar, ') + 'one factor in front of the other', 240);
    const rows = router.overflow[0][1].map((share, row) => String(row * data.expertsOfRow));
    const option = frame('', true, { xAxis: categories(rows, 'expert') });
    option.grid.bottom = 46;
    option.tooltip.valueFormatter = value => compact(value) + ' %';
    option.tooltip.axisPointer = { type: 'shadow' };
    option.series = router.overflow.map(([factor, shares], i) => ({
      name: 'capacity factor ' + factor, type: 'bar', data: shares, barGap: '-100%',
      itemStyle: { color: color(palette[i % palette.length]) }, emphasis: { disabled: true } }));
    draw(element, option, undefined);
  }

  page.show(() => {
    for (const id of ['parts', 'load', 'overflow']) document.getElementById(id).replaceChildren();
    const mark = { silent: true, symbol: 'none', lineStyle: { type: 'dashed', color: color('muted') },
      label: { formatter: data.few + ' %', color: color('muted'), position: 'insideEndTop' },
      data: [{ yAxis: data.few }] };
    overFactors('dropped', 'dropped', '%', { markLine: mark });
    overFactors('step', 'step', 'ms', {});
    overFactors('memory', 'memory', 'GB', {});
    drawSorted();
    data.routers.forEach(drawParts);
    data.routers.forEach(router =>
      router.load.forEach((columns, layer) => drawLoad(router, columns, layer, router.load.length)));
    data.routers.forEach(drawOverflow);
    if (data.routers.every(router => router.overflow.length === 0)) {
      document.getElementById('overflow').textContent = 'Every expert had room for all rows.';
    }
  });
})();
