source("common.R")
suppressMessages({library(metafor)})
set.seed(2)

correlation_case <- function(x, y) {
  one <- function(method, ...) suppressWarnings(cor.test(x, y, method = method, ...))
  p <- one("pearson"); s <- one("spearman"); k <- one("kendall"); n <- length(x)
  around <- function(r, se) tanh(atanh(r) + c(-1, 1) * qnorm(0.975) * se)
  rho <- s$estimate[[1]]; tau <- k$estimate[[1]]
  list(x = x, y = y, pearson = p$estimate[[1]], pearson_ci = as.numeric(p$conf.int), pearson_p = p$p.value,
       spearman = rho, spearman_ci = around(rho, sqrt((1 + rho^2 / 2) / (n - 3))), spearman_p = s$p.value,
       kendall = tau, kendall_ci = around(tau, sqrt(0.437 / (n - 4))), kendall_p = k$p.value)
}
n60 <- rnorm(60); n120 <- exp(rnorm(120))
correlation <- list(
  seven = correlation_case(c(2.1, 3.4, 1.2, 5.9, 4.4, 8.1, 7.0), c(1.9, 2.2, 2.8, 4.1, 6.6, 5.0, 9.3)),
  twelve = correlation_case(rnorm(12), rnorm(12)),
  ties = correlation_case(sample(0:3, 30, TRUE), round(rnorm(30), 1)),
  many_ties = correlation_case(sample(0:1, 40, TRUE), sample(0:3, 40, TRUE)),
  sixty = correlation_case(n60, n60 + rnorm(60, 0, 2)),
  negative = correlation_case(n60, round(-n60, 0)),
  skewed = correlation_case(n120, n120 * exp(rnorm(120, 0, 0.8))))

# Formulas of Fisher 1925, Williams 1959, Steiger 1980 (average correlation in the covariance), Zou 2007.
arc <- function(r, n) tanh(atanh(r) + c(-1, 1) * qnorm(0.975) / sqrt(n - 3))
zou <- function(a, n1, b, n2, rho) {
  l <- arc(a, n1); m <- arc(b, n2)
  c(a - b - sqrt((a - l[1])^2 + (m[2] - b)^2 - 2 * rho * (a - l[1]) * (m[2] - b)),
    a - b + sqrt((l[2] - a)^2 + (b - m[1])^2 - 2 * rho * (l[2] - a) * (b - m[1])))
}
overlap <- function(xy, xz, yz) ((yz - xy * xz / 2) * (1 - xy^2 - xz^2 - yz^2) + yz^3) / ((1 - xy^2) * (1 - xz^2))
overlap0 <- function(r, yz) (yz * (1 - 2 * r^2) - r^2 / 2 * (1 - 2 * r^2 - yz^2)) / (1 - r^2)^2
dependent_case <- function(xy, xz, yz, n) {
  det <- 1 - xy^2 - xz^2 - yz^2 + 2 * xy * xz * yz; m <- (xy + xz) / 2
  t <- (xy - xz) * sqrt((n - 1) * (1 + yz) / (2 * (n - 1) / (n - 3) * det + m^2 * (1 - yz)^3))
  z <- (atanh(xy) - atanh(xz)) * sqrt(n - 3) / sqrt(2 - 2 * overlap0(m, yz))
  list(r = c(xy, xz, yz), n = n, t = t, t_p = 2 * pt(-abs(t), n - 3), z = z, z_p = 2 * pnorm(-abs(z)),
       zou = zou(xy, n, xz, n, overlap(xy, xz, yz)))
}
independent_case <- function(a, n1, b, n2) {
  z <- (atanh(a) - atanh(b)) / sqrt(1 / (n1 - 3) + 1 / (n2 - 3))
  list(r = c(a, b), n = c(n1, n2), z = z, p = 2 * pnorm(-abs(z)), zou = zou(a, n1, b, n2, 0))
}
comparison <- list(
  independent = list(a = independent_case(.95, 390, .84, 100), b = independent_case(-.2, 25, .3, 9)),
  dependent = list(a = dependent_case(.951, .832, .86, 390), b = dependent_case(-.1, .4, .2, 12),
                   c = dependent_case(.5, .5, .7, 40)))

homogeneity_case <- function(r, n) {
  m <- rma(measure = "ZCOR", ri = r, ni = n, method = "FE")
  list(r = r, n = n, q = m$QE, df = length(r) - 1, p = m$QEp, i2 = m$I2, pooled = tanh(m$beta[[1]]),
       ci = tanh(c(m$ci.lb, m$ci.ub)))
}
homogeneity <- list(vendors = homogeneity_case(c(.875, .95, .91, .93), c(120, 80, 150, 40)),
                    alike = homogeneity_case(c(.5, .52), c(30, 400)))

# Jonckheere-Terpstra: statistic over pairs, z through Kendall's test with ties, exact p over all permutations
trend_case <- function(x, g, exact = FALSE) {
  statistic <- function(x, g) { d <- outer(x, x, "-"); later <- outer(g, g, ">")
    sum(later & d > 0) + sum(later & d == 0) / 2 }
  k <- suppressWarnings(cor.test(x, g, method = "kendall", exact = FALSE))
  out <- list(x = x, g = g, statistic = statistic(x, g), z = k$statistic[[1]], p = k$p.value,
              increasing = pnorm(-k$statistic[[1]]), exact = NULL)
  if (exact) {
    r <- rank(x); sizes <- table(g); n <- length(x)
    all <- list(integer(0)); every <- function(left, sizes) {
      if (length(sizes) == 1) return(list(left))
      unlist(lapply(combn(length(left), sizes[1], simplify = FALSE), function(i)
        lapply(every(left[-i], sizes[-1]), function(rest) c(left[i], rest))), recursive = FALSE) }
    js <- sapply(every(1:n, as.vector(sizes)), function(order) statistic(order, sort(g)))
    j <- out$statistic
    out$exact <- c(mean(js >= j), mean(js <= j))
  }
  out
}
trend <- list(exact = trend_case(c(1.2, 3.4, 2.2, 5.1, 4.8, 3.9, 7.7, 6.1, 4.2), rep(1:3, c(3, 2, 4)), TRUE),
              against = trend_case(c(9, 7, 8, 2, 5, 4, 1), rep(1:2, c(3, 4)), TRUE),
              ties = trend_case(sample(1:5, 40, TRUE), sample(0:3, 40, TRUE)),
              heavy_ties = trend_case(sample(0:1, 25, TRUE), rep(0:4, 5)))

groups_case <- function(x, g) {
  k <- kruskal.test(x, g); r <- rank(x); n <- length(x); t <- table(x)
  v <- n * (n + 1) / 12 - sum(t^3 - t) / (12 * (n - 1)); pairs <- combn(sort(unique(g)), 2)
  z <- apply(pairs, 2, function(p) (mean(r[g == p[1]]) - mean(r[g == p[2]])) /
    sqrt(v * (1 / sum(g == p[1]) + 1 / sum(g == p[2]))))
  p <- 2 * pnorm(-abs(z))
  list(x = x, g = g, h = k$statistic[[1]], df = k$parameter[[1]], p = k$p.value, z = z, dunn_p = p,
       holm = p.adjust(p, "holm"))
}
groups <- list(ties = groups_case(sample(1:6, 40, TRUE), sample(0:3, 40, TRUE)),
               unequal = groups_case(rnorm(20), rep(1:3, c(2, 5, 13))))

two_case <- function(x, y, ...) { w <- suppressWarnings(wilcox.test(x, y, ...))
  list(x = x, y = y, w = w$statistic[[1]], p = w$p.value) }
two <- list(exact = two_case(rnorm(7), rnorm(11, 1)), ties = two_case(sample(0:6, 30, TRUE), sample(0:6, 22, TRUE)),
            large = two_case(rnorm(60), rnorm(12, .5)))
no_correction <- two_case(two$ties$x, two$ties$y, correct = FALSE)

families <- list(c(.04, .01, .01, .5, .03, 1), c(0, .2, .2, .9), c(.05), runif(25)^2)
methods <- c("holm", "hochberg", "hommel", "bonferroni", "BH", "BY", "fdr", "none")
adjusted <- lapply(families, function(p) list(p = I(p), adjusted = lapply(setNames(methods, methods), function(m) I(p.adjust(p, m)))))

write_cases(list(correlation = correlation, comparison = comparison, homogeneity = homogeneity, trend = trend,
                 groups = groups, two = two, no_correction = no_correction, adjusted = adjusted), "ranks")
